-- Schedules of which a slot waits for a run that has ended.
SELECT s.task, s.tree, s.forest, s.user_id, s.kind, s.enabled, s.slot, s.due_at, s.runs, s.skipped,
    s.waiting, s.last_run_at, t.id, r.id, t.definition,
    (SELECT min(w.slot) FROM af_slots w WHERE w.task = s.task AND w.fired_at IS NULL)
FROM af_schedules s
JOIN af_tasks t ON t.seq = s.task
JOIN af_trees r ON r.seq = s.tree
JOIN af_forests f ON f.seq = s.forest
WHERE s.waiting > 0 AND f.live = 0 AND ($2::text IS NULL OR s.user_id = $2)
LIMIT $1
FOR UPDATE OF s SKIP LOCKED
