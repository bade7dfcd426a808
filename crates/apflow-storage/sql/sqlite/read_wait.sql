-- One wait as readers see it.
SELECT w.id, t.id, r.id, t.definition, t.user_id, w.run, w.key, w.kind, w.detail, w.on_timeout, w.escalated_to,
    w.state, w.answer, w.answered_by, w.asked_at, w.until, w.answered_at
FROM af_waits w
JOIN af_tasks t ON t.seq = w.task
JOIN af_trees r ON r.seq = w.tree
WHERE w.id = $1
