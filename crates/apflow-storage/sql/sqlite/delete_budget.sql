-- One budget less.
DELETE FROM af_budgets
WHERE scope = $1 AND scope_id = $2 AND unit = $3 AND period = $4
RETURNING scope
