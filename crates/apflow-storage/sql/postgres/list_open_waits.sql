-- Waits that can be answered and pass a filter, oldest first.
SELECT w.id, t.id, r.id, t.definition, t.user_id, w.run, w.key, w.kind, w.detail, w.on_timeout, w.escalated_to,
    w.state, w.answer, w.answered_by, w.asked_at, w.until, w.answered_at
FROM af_waits w
JOIN af_tasks t ON t.seq = w.task
JOIN af_trees r ON r.seq = w.tree
WHERE w.open
    AND ($1::text IS NULL OR w.kind = $1)
    AND ($2::text IS NULL OR t.id = $2)
    AND ($3::text IS NULL OR r.id = $3)
    AND ($4::text IS NULL OR t.user_id = $4)
ORDER BY w.seq
LIMIT $5 OFFSET $6
