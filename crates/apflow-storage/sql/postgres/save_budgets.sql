-- Budgets as they are to be.
INSERT INTO af_budgets (scope, scope_id, unit, period, most, policy, used, since, updated_at)
SELECT v.*, $9::bigint
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
    $8::bigint[]) AS v
ON CONFLICT (scope, scope_id, unit, period) DO UPDATE
SET most = excluded.most, policy = excluded.policy, used = excluded.used, since = excluded.since,
    updated_at = excluded.updated_at
