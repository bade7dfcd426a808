-- What happened after a position, with what a listener wants to know.
-- A result is that of this event if the task has not moved since.
SELECT e.seq, r.id, t.id, e.kind, e.attempt, e.at, e.detail, o.id, r.user_id,
    CASE WHEN w.output_parts = 0 AND octet_length(w.output) <= $3 THEN w.output END,
    w.output_parts > 0 OR coalesce(octet_length(w.output), 0) > $3
FROM af_events e
JOIN af_trees r ON r.seq = e.tree
JOIN af_tasks o ON o.seq = r.seq
LEFT JOIN af_tasks t ON t.seq = e.task
LEFT JOIN af_work w ON w.seq = e.task AND e.kind = 11 AND w.completed_at = e.at
WHERE e.seq > $1
ORDER BY e.seq
LIMIT $2
