-- What attempts of these tasks put aside.
SELECT task, number, attempt, step, value, at
FROM af_checkpoints
WHERE task IN (SELECT value FROM json_each($1))
