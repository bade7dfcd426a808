-- A link of a submission whose original has not completed, if there is one.
SELECT t.id
FROM af_tasks t
JOIN af_work w ON w.seq = t.original
WHERE t.forest = $1 AND t.original IS NOT NULL AND w.state <> 'completed'
ORDER BY t.seq
LIMIT 1
