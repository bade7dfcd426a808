-- Where schedules stand now, one row a schedule.
INSERT INTO af_schedules (task, tree, forest, user_id, kind, enabled, slot, due_at, runs, skipped,
    waiting, last_run_at)
SELECT v.task, v.tree, v.forest, v.user_id, v.kind, v.enabled, v.slot, v.due_at, v.runs, v.skipped,
    v.waiting, v.last_run_at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
    AS v (task, tree, forest, user_id, kind, enabled, slot, due_at, runs, skipped, waiting,
        last_run_at)
ON CONFLICT (task) DO UPDATE
SET kind = excluded.kind,
    enabled = excluded.enabled,
    slot = excluded.slot,
    due_at = excluded.due_at,
    runs = excluded.runs,
    skipped = excluded.skipped,
    waiting = excluded.waiting,
    last_run_at = excluded.last_run_at
