-- Results of what they need, in the author's order; structure (kind 2) hands nothing over, and a
-- link what its original has.
SELECT t.seq, w.seq, n.id, coalesce(o.executor, n.executor), w.state, w.output, w.output_parts
FROM af_tasks t
JOIN json_each(t.needs) e
JOIN af_tasks n ON n.seq = e.value ->> 0
LEFT JOIN af_tasks o ON o.seq = n.original
JOIN af_work w ON w.seq = coalesce(n.original, n.seq)
WHERE t.seq IN (SELECT value FROM json_each($1))
    AND t.needs IS NOT NULL
    AND e.value ->> 1 <> 2
ORDER BY t.seq, e.key
