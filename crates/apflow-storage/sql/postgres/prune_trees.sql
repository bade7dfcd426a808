-- Submissions that ended long ago, oldest first, each with how many tasks it has.
SELECT t.forest, max(t.finished_at), sum(t.total)::bigint
FROM af_trees t
JOIN af_forests f ON f.seq = t.forest
WHERE t.forest IN (
        SELECT forest FROM af_trees WHERE finished_at < $1 ORDER BY finished_at LIMIT $2
    )
    AND f.live = 0
GROUP BY t.forest
HAVING max(t.finished_at) < $1 AND count(*) = count(t.finished_at)
ORDER BY max(t.finished_at)
