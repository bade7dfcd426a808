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
    updated_at = $21::bigint
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::text[], $9::text[], $10::text[], $11::double precision[], $12::text[],
    $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::boolean[], $18::text[],
    $19::bigint[], $20::text[])
    AS v (seq, state, token, attempts, waiting_for, failed_needs, wake_at, worker, detail, error,
        progress, resolved, output, output_parts, started_at, completed_at, wipe, held,
        turn, facets)
WHERE af_work.seq = v.seq
