-- Schedules whose time has come, earliest first.
SELECT s.task, s.tree, s.forest, s.user_id, s.kind, s.enabled, s.slot, s.due_at, s.runs, s.skipped,
    s.waiting, s.last_run_at, t.id, r.id, t.definition,
    (SELECT min(w.slot) FROM af_slots w WHERE w.task = s.task AND w.fired_at IS NULL)
FROM af_schedules s
JOIN af_tasks t ON t.seq = s.task
JOIN af_trees r ON r.seq = s.tree
WHERE s.due_at <= $1 AND ($3 IS NULL OR s.user_id = $3)
ORDER BY s.due_at
LIMIT $2
