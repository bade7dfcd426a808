-- Events on a topic since a moment that a task may take and has not taken in this run, oldest first.
SELECT p.id, p.payload
FROM af_published p
JOIN af_tasks t ON t.seq = $1
WHERE p.topic = $2 AND p.at >= $3
    AND (p.user_id IS NULL OR p.user_id = t.user_id)
    AND NOT EXISTS (SELECT 1 FROM af_waits w WHERE w.task = $1 AND w.run = $4 AND w.answered_by = p.id)
ORDER BY p.seq
