-- The schedules of some tasks, to be changed. Whoever changes a schedule locks it before the
-- submission of its task, as a scheduler does.
SELECT s.task, s.tree, s.forest, s.user_id, s.kind, s.enabled, s.slot, s.due_at, s.runs, s.skipped,
    s.waiting, s.last_run_at, t.id, r.id, t.definition,
    (SELECT min(w.slot) FROM af_slots w WHERE w.task = s.task AND w.fired_at IS NULL)
FROM af_schedules s
JOIN af_tasks t ON t.seq = s.task
JOIN af_trees r ON r.seq = s.tree
WHERE s.task = ANY ($1::bigint[])
ORDER BY s.task
FOR UPDATE OF s
