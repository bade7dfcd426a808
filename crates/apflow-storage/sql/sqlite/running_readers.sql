-- The root of a running tree that links to one of these tasks of a submission, if there is one.
SELECT root.id
FROM af_references r
JOIN af_forests f ON f.seq = r.forest
JOIN af_tasks l ON l.forest = r.forest
JOIN af_tasks root ON root.seq = l.tree
WHERE r.original = $1 AND f.open > 0 AND l.original IN (SELECT value FROM json_each($2))
ORDER BY l.seq
LIMIT 1
