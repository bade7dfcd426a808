-- The budgets of some scopes.
SELECT scope, scope_id, unit, period, most, policy, used, since
FROM af_budgets
WHERE (scope, scope_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY scope, scope_id, unit, period
