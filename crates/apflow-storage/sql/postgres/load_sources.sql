-- All tasks of one submission as their authors wrote them; of links also what their originals say.
SELECT t.seq, t.id, t.tree, t.parent, t.definition, w.state, t.original, o.id, o.forest, o.definition,
       CASE WHEN t.original IS NULL THEN w.facets END
FROM af_tasks t
JOIN af_work w ON w.seq = coalesce(t.original, t.seq)
LEFT JOIN af_tasks o ON o.seq = t.original
WHERE t.forest = $1
ORDER BY t.seq
