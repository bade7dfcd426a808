-- Budgets as they are to be.
INSERT INTO af_budgets (scope, scope_id, unit, period, most, policy, used, since, updated_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, $2
FROM json_each($1)
WHERE TRUE
ON CONFLICT (scope, scope_id, unit, period) DO UPDATE
SET most = excluded.most, policy = excluded.policy, used = excluded.used, since = excluded.since,
    updated_at = excluded.updated_at
