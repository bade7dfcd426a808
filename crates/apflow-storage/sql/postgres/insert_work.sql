-- Where new tasks stand.
INSERT INTO af_work (seq, tree, forest, state, priority, join_any, token, max_attempts,
    waiting_for, updated_at, turn, facets, wake_at)
SELECT seq, tree, forest, state, priority, join_any, token, max_attempts, waiting_for, $34::bigint,
    turn, facets, wake_at
FROM unnest($14::bigint[], $16::bigint[], $17::bigint[], $25::text[], $26::bigint[], $27::bigint[],
    $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[], $32::text[],
    $33::bigint[])
    AS v (seq, tree, forest, state, priority, join_any, token, max_attempts, waiting_for,
        turn, facets, wake_at)
