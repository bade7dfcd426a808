-- What attempts of these tasks put aside.
SELECT task, number, attempt, step, value, at
FROM af_checkpoints
WHERE task = ANY ($1::bigint[])
