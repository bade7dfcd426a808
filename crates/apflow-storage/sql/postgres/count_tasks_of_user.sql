-- How many tasks of one owner pass a filter, by state; apart, so that the index on owners serves it.
SELECT w.state, count(*)
FROM af_tasks t
JOIN af_work w ON w.seq = coalesce(t.original, t.seq)
WHERE t.user_id = $1
    AND ($2::text[] IS NULL OR w.state = ANY ($2))
    AND (NOT $3::boolean OR t.parent IS NULL)
    AND ($4::text IS NULL OR t.parent = (SELECT seq FROM af_tasks WHERE id = $4))
    AND ($5::text IS NULL OR t.tree = (SELECT seq FROM af_trees WHERE id = $5))
    AND ($6::text[] IS NULL OR t.id = ANY ($6))
GROUP BY w.state
