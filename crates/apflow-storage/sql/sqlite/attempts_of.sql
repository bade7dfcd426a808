-- The attempts of a task that are kept, oldest first.
SELECT a.run, a.attempt, a.cycle, a.worker, a.began, a.ended, a.outcome, a.kind, a.cause, a.retry_at
FROM af_tasks t
JOIN af_attempts a ON a.task = t.seq
WHERE t.id = $1
ORDER BY a.token
