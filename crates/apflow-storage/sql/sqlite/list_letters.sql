-- Dead letters that pass a filter, newest first.
SELECT t.id, r.id, l.user_id, l.executor, l.reason, l.kind, l.error, l.attempts, l.run, l.at
FROM af_dead_letters l
JOIN af_tasks t ON t.seq = l.task
JOIN af_trees r ON r.seq = l.tree
WHERE ($1 IS NULL OR l.user_id = $1)
    AND ($2 IS NULL OR l.executor = $2)
    AND ($3 IS NULL OR l.kind = $3)
    AND ($4 IS NULL OR l.reason = $4)
    AND ($5 IS NULL OR l.at >= $5)
    AND ($6 IS NULL OR l.at < $6)
    AND ($7 IS NULL OR t.id IN (SELECT value FROM json_each($7)))
ORDER BY l.at DESC, l.task DESC
LIMIT $8 OFFSET $9
