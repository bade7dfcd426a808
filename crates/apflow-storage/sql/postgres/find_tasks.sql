-- Where the tasks of these ids are.
SELECT t.seq, t.id, t.tree, t.forest, r.id, root.id
FROM af_tasks t
JOIN af_trees r ON r.seq = t.tree
JOIN af_tasks root ON root.seq = t.tree
WHERE t.id = ANY ($1::text[])
