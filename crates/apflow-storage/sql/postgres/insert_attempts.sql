-- Attempts that ended without a result.
INSERT INTO af_attempts (task, token, run, attempt, cycle, worker, began, ended, outcome, kind, cause,
    retry_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
    $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bigint[])
ON CONFLICT (task, token) DO NOTHING
