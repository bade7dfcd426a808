-- What was spent, summed by what `$1` names, the most expensive first.
SELECT
    CASE $1 WHEN 'task' THEN task_id WHEN 'tree' THEN tree_id WHEN 'user' THEN user_id
        WHEN 'model' THEN model WHEN 'executor' THEN executor
        WHEN 'day' THEN strftime('%Y-%m-%d', at / 1000000, 'unixepoch')
        WHEN 'month' THEN strftime('%Y-%m', at / 1000000, 'unixepoch') END AS what,
    sum(input), sum(output), sum(micros), count(*), count(DISTINCT task_id), min(at), max(at)
FROM af_usage
WHERE at >= $2 AND at < $3 AND ($4 IS NULL OR task_id = $4) AND ($5 IS NULL OR tree_id = $5)
    AND ($6 IS NULL OR user_id = $6) AND ($7 IS NULL OR model = $7)
GROUP BY 1
ORDER BY CASE WHEN $1 IN ('day', 'month') THEN what END, sum(micros) DESC,
    sum(input + output) DESC, what
LIMIT $8
