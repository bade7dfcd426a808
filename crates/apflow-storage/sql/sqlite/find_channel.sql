-- The channel of the newest run of a tree.
SELECT t.forest, f.id, coalesce(c.pass, 0)
FROM af_trees t
JOIN af_trees f ON f.seq = t.forest
LEFT JOIN af_channels c ON c.forest = t.forest
WHERE t.id = $1
