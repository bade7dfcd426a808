-- What the authors said.
INSERT INTO af_tasks (seq, id, tree, forest, parent, has_children, user_id, executor, needs,
    dependents, definition, created_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10, $5
FROM jsonb_each($8)
