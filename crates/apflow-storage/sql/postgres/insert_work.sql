-- Where new tasks stand.
INSERT INTO af_work (seq, tree, forest, state, priority, join_any, token, max_attempts,
    waiting_for, updated_at)
SELECT seq, tree, forest, state, priority, join_any, token, max_attempts, waiting_for, $31::bigint
FROM unnest($14::bigint[], $16::bigint[], $17::bigint[], $25::text[], $26::bigint[], $27::bigint[],
    $28::bigint[], $29::bigint[], $30::bigint[])
    AS v (seq, tree, forest, state, priority, join_any, token, max_attempts, waiting_for)
