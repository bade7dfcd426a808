-- What a scope has spent since a moment.
SELECT COALESCE(sum(input + output), 0), COALESCE(sum(micros), 0)
FROM af_usage
WHERE at >= $3
    AND CASE $1 WHEN 'task' THEN task_id = $2 WHEN 'tree' THEN tree_id = $2
        WHEN 'user' THEN user_id = $2 ELSE TRUE END
