-- Where schedules stand now, one row a schedule.
INSERT INTO af_schedules (task, tree, forest, user_id, kind, enabled, slot, due_at, runs, skipped,
    waiting, last_run_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM jsonb_each($1)
WHERE true
ON CONFLICT (task) DO UPDATE
SET kind = excluded.kind,
    enabled = excluded.enabled,
    slot = excluded.slot,
    due_at = excluded.due_at,
    runs = excluded.runs,
    skipped = excluded.skipped,
    waiting = excluded.waiting,
    last_run_at = excluded.last_run_at
