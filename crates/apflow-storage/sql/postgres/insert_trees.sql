-- New trees.
INSERT INTO af_trees (seq, id, forest, user_id, options, run, total, open, deadline, created_at,
    started_at)
SELECT seq, id, forest, user_id, options, run, total, open, deadline, $34::bigint, started_at
FROM unnest($4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
    AS v (seq, id, forest, user_id, options, run, total, open, deadline, started_at)
