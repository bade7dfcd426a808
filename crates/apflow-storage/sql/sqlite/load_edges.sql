-- Who waits for the tasks that settle.
SELECT seq, dependents
FROM af_tasks
WHERE seq IN (SELECT value FROM json_each($1)) AND dependents IS NOT NULL
