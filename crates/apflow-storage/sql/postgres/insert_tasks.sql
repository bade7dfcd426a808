-- What the authors said.
INSERT INTO af_tasks (seq, id, tree, forest, parent, has_children, user_id, executor, needs,
    dependents, definition, created_at)
SELECT seq, id, tree, forest, parent, has_children, user_id, executor, needs, dependents, definition,
    $34::bigint
FROM unnest($14::bigint[], $15::text[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],
    $20::text[], $21::text[], $22::text[], $23::text[], $24::text[])
    AS v (seq, id, tree, forest, parent, has_children, user_id, executor, needs, dependents,
        definition)
