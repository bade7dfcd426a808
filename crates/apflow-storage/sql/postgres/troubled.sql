-- Tasks of one tree that failed in this run, and those that a failure keeps from running.
SELECT t.id, w.state
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
WHERE t.forest = (SELECT forest FROM af_trees WHERE seq = $1)
    AND t.tree = $1
    AND (w.state = 'blocked' OR (w.state = 'failed' AND w.completed_at >= $2))
ORDER BY t.seq
LIMIT $3
