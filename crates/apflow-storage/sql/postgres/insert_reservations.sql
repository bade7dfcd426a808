-- What is put aside for attempts that begin.
INSERT INTO af_reservations (task, task_id, tree_id, user_id, tokens, micros)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
ON CONFLICT (task) DO UPDATE
SET task_id = excluded.task_id, tree_id = excluded.tree_id, user_id = excluded.user_id,
    tokens = excluded.tokens, micros = excluded.micros
