-- Results of what they need, in the author's order; structure (kind 2) hands nothing over.
SELECT t.seq, n.seq, n.id, n.executor, w.state, w.output, w.output_parts
FROM af_tasks t
CROSS JOIN LATERAL jsonb_array_elements(t.needs::jsonb) WITH ORDINALITY AS e (edge, place)
JOIN af_tasks n ON n.seq = (e.edge ->> 0)::bigint
JOIN af_work w ON w.seq = n.seq
WHERE t.seq = ANY ($1::bigint[])
    AND t.needs IS NOT NULL
    AND e.edge ->> 1 <> '2'
ORDER BY t.seq, e.place
