-- Budgets, of one scope and one owner of it if they are named, and what is put aside of each.
SELECT b.scope, b.scope_id, b.unit, b.period, b.most, b.policy, b.used, b.since,
    CAST(COALESCE((
        SELECT sum(CASE b.unit WHEN 'tokens' THEN r.tokens ELSE r.micros END)
        FROM af_reservations r
        WHERE CASE b.scope WHEN 'task' THEN r.task_id = b.scope_id
            WHEN 'tree' THEN r.tree_id = b.scope_id
            WHEN 'user' THEN r.user_id = b.scope_id
            ELSE TRUE END
    ), 0) AS BIGINT)
FROM af_budgets b
WHERE ($1::text IS NULL OR b.scope = $1) AND ($2::text IS NULL OR b.scope_id = $2)
ORDER BY b.scope, b.scope_id, b.unit, b.period
LIMIT $3 OFFSET $4
