-- What attempts reported.
INSERT INTO af_usage
    (task_id, tree_id, user_id, executor, model, attempt, input, output, micros, at)
SELECT v.*, $10::bigint
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[]) AS v
