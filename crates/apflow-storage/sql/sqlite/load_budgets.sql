-- The budgets of some scopes.
SELECT scope, scope_id, unit, period, most, policy, used, since
FROM af_budgets
WHERE (scope, scope_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each($1))
ORDER BY scope, scope_id, unit, period
