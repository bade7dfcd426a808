-- What is put aside for attempts that begin.
INSERT INTO af_reservations (task, task_id, tree_id, user_id, tokens, micros)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each($1)
WHERE TRUE
ON CONFLICT (task) DO UPDATE
SET task_id = excluded.task_id, tree_id = excluded.tree_id, user_id = excluded.user_id,
    tokens = excluded.tokens, micros = excluded.micros
