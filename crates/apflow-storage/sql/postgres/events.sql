-- What happened after a position.
SELECT e.seq, r.id, t.id, e.kind, e.attempt, e.at, e.detail
FROM af_events e
JOIN af_trees r ON r.seq = e.tree
LEFT JOIN af_tasks t ON t.seq = e.task
WHERE e.seq > $1
ORDER BY e.seq
LIMIT $2
