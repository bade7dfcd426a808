-- What happened in one tree after a position.
SELECT e.seq, r.id, t.id, e.kind, e.attempt, e.at, e.detail
FROM af_trees r
JOIN af_events e ON e.tree = r.seq
LEFT JOIN af_tasks t ON t.seq = e.task
WHERE r.id = $3 AND e.seq > $1
ORDER BY e.seq
LIMIT $2
