-- Tasks that stay as they are from now on.
UPDATE af_tasks
SET definition = v.definition, fixed = 1
FROM unnest($1::bigint[], $2::text[]) AS v (seq, definition)
WHERE af_tasks.seq = v.seq
