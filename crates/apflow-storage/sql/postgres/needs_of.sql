-- What one task needs, and where each of those stands.
SELECT n.id, (e.edge ->> 1)::bigint, w.state
FROM af_tasks t
CROSS JOIN LATERAL jsonb_array_elements(t.needs::jsonb) WITH ORDINALITY AS e (edge, place)
JOIN af_tasks n ON n.seq = (e.edge ->> 0)::bigint
JOIN af_work w ON w.seq = n.seq
WHERE t.seq = $1 AND t.needs IS NOT NULL
ORDER BY e.place
