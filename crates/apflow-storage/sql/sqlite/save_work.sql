-- One row a task that moved. A row that says `wipe` forgets what the last run left.
UPDATE af_work
SET state = v.state,
    token = v.token,
    attempts = v.attempts,
    waiting_for = v.waiting_for,
    failed_needs = v.failed_needs,
    wake_at = v.wake_at,
    worker = coalesce(v.worker, af_work.worker),
    detail = v.detail,
    error = v.error,
    progress = coalesce(v.progress, af_work.progress),
    resolved = CASE WHEN v.wipe THEN NULL ELSE coalesce(v.resolved, af_work.resolved) END,
    output = CASE WHEN v.wipe THEN NULL ELSE coalesce(v.output, af_work.output) END,
    output_parts = CASE WHEN v.wipe THEN 0 ELSE coalesce(v.output_parts, af_work.output_parts) END,
    started_at = v.started_at,
    completed_at = v.completed_at,
    held = v.held,
    turn = v.turn,
    facets = v.facets,
    updated_at = $5
FROM (
    SELECT value ->> 0 AS seq, value ->> 1 AS state, value ->> 2 AS token, value ->> 3 AS attempts,
        value ->> 4 AS waiting_for, value ->> 5 AS failed_needs, value ->> 6 AS wake_at,
        value ->> 7 AS worker, value ->> 8 AS detail, value ->> 9 AS error,
        value ->> 10 AS progress, value ->> 11 AS resolved, value ->> 12 AS output,
        value ->> 13 AS output_parts, value ->> 14 AS started_at, value ->> 15 AS completed_at,
        value ->> 16 AS wipe, value ->> 17 AS held, value ->> 18 AS turn, value ->> 19 AS facets
    FROM jsonb_each($1)
) AS v
WHERE af_work.seq = v.seq
