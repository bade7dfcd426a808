-- How many dead letters pass a filter.
SELECT count(*)
FROM af_dead_letters l
JOIN af_tasks t ON t.seq = l.task
WHERE ($1 IS NULL OR l.user_id = $1)
    AND ($2 IS NULL OR l.executor = $2)
    AND ($3 IS NULL OR l.kind = $3)
    AND ($4 IS NULL OR l.reason = $4)
    AND ($5 IS NULL OR l.at >= $5)
    AND ($6 IS NULL OR l.at < $6)
    AND ($7 IS NULL OR t.id IN (SELECT value FROM json_each($7)))
