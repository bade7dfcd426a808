-- Submissions that ended long ago, oldest first, each with how many tasks it has. Those
-- that others link to stay.
SELECT t.forest, max(t.finished_at), sum(t.total)
FROM af_trees t
JOIN af_forests f ON f.seq = t.forest
WHERE t.forest IN (
        SELECT forest FROM af_trees x
        WHERE finished_at < $1
            AND NOT EXISTS (SELECT 1 FROM af_references l WHERE l.original = x.forest)
        ORDER BY finished_at
        LIMIT $2
    )
    AND f.live = 0
GROUP BY t.forest
HAVING max(t.finished_at) < $1 AND count(*) = count(t.finished_at)
ORDER BY max(t.finished_at)
