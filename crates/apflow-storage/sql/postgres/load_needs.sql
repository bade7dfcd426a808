-- Results of what they need, in the author's order; structure (kind 2) hands nothing over, and a
-- link what its original has.
SELECT t.seq, w.seq, n.id, coalesce(o.executor, n.executor), w.state, w.output, w.output_parts
FROM af_tasks t
CROSS JOIN LATERAL jsonb_array_elements(t.needs::jsonb) WITH ORDINALITY AS e (edge, place)
JOIN af_tasks n ON n.seq = (e.edge ->> 0)::bigint
LEFT JOIN af_tasks o ON o.seq = n.original
JOIN af_work w ON w.seq = coalesce(n.original, n.seq)
WHERE t.seq = ANY ($1::bigint[])
    AND t.needs IS NOT NULL
    AND e.edge ->> 1 <> '2'
ORDER BY t.seq, e.place
