-- Tasks that hang under these and were spawned, with how they stand.
SELECT t.parent, t.seq, t.id, w.state, w.output, w.output_parts, w.error, w.facets
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
WHERE t.parent = ANY ($1::bigint[]) AND w.facets IS NOT NULL
ORDER BY t.parent, t.seq
