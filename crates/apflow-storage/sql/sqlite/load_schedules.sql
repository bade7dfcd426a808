-- The schedules of some tasks, to be changed.
SELECT s.task, s.tree, s.forest, s.user_id, s.kind, s.enabled, s.slot, s.due_at, s.runs, s.skipped,
    s.waiting, s.last_run_at, t.id, r.id, t.definition,
    (SELECT min(w.slot) FROM af_slots w WHERE w.task = s.task AND w.fired_at IS NULL)
FROM af_schedules s
JOIN af_tasks t ON t.seq = s.task
JOIN af_trees r ON r.seq = s.tree
WHERE s.task IN (SELECT value FROM json_each($1))
ORDER BY s.task
