-- Submissions that ended long ago, oldest first, each with how many tasks it has. One that has a
-- schedule which is on, or a slot that waits, will run again; those that others link to stay.
SELECT t.forest, max(t.finished_at), sum(t.total)
FROM af_trees t
JOIN af_forests f ON f.seq = t.forest
WHERE t.forest IN (
        SELECT o.forest FROM af_trees o
        WHERE o.finished_at < $1
            AND NOT EXISTS (SELECT 1 FROM af_schedules s WHERE s.forest = o.forest AND s.enabled <> 0)
            AND NOT EXISTS (SELECT 1 FROM af_schedules s WHERE s.forest = o.forest AND s.waiting > 0)
            AND NOT EXISTS (SELECT 1 FROM af_references l WHERE l.original = o.forest)
        ORDER BY o.finished_at LIMIT $2
    )
    AND f.live = 0
GROUP BY t.forest
HAVING max(t.finished_at) < $1 AND count(*) = count(t.finished_at)
ORDER BY max(t.finished_at)
