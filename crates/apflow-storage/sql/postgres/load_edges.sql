-- Who waits for the tasks that settle.
SELECT seq, dependents
FROM af_tasks
WHERE seq = ANY ($1::bigint[]) AND dependents IS NOT NULL
