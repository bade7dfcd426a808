-- Budgets of tasks and trees that are gone.
DELETE FROM af_budgets
WHERE (scope = 'tree' AND NOT EXISTS (SELECT 1 FROM af_trees t WHERE t.id = scope_id))
    OR (scope = 'task' AND NOT EXISTS (SELECT 1 FROM af_tasks t WHERE t.id = scope_id))
RETURNING scope
