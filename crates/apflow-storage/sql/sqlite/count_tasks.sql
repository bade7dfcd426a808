-- How many tasks pass a filter, by state.
SELECT w.state, count(*)
FROM af_tasks t
JOIN af_work w ON w.seq = coalesce(t.original, t.seq)
WHERE ($1 IS NULL OR t.user_id = $1)
    AND ($2 IS NULL OR w.state IN (SELECT value FROM json_each($2)))
    AND (NOT $3 OR t.parent IS NULL)
    AND ($4 IS NULL OR t.parent = (SELECT seq FROM af_tasks WHERE id = $4))
    AND ($5 IS NULL OR t.tree = (SELECT seq FROM af_trees WHERE id = $5))
    AND ($6 IS NULL OR t.id IN (SELECT value FROM json_each($6)))
GROUP BY w.state
