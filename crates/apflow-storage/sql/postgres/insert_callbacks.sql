-- Who wants to be told of runs that begin.
INSERT INTO af_callbacks (id, tree, target, timeout, max_retries, state, position, touched_at)
SELECT v.id, v.tree, v.target, v.timeout, v.max_retries, 'active', v.position, $7::bigint
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    WITH ORDINALITY AS v (id, tree, target, timeout, max_retries, position, place)
ORDER BY v.place
