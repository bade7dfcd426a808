-- Which checkpoints these tasks go on from, without what they hold.
SELECT task, number, attempt, step, at
FROM af_checkpoints
WHERE task = ANY ($1::bigint[])
