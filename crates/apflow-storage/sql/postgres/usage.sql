-- What was spent, summed by what `$1` names, the most expensive first.
SELECT * FROM (
    SELECT
        CASE $1::text WHEN 'task' THEN task_id WHEN 'tree' THEN tree_id WHEN 'user' THEN user_id
            WHEN 'model' THEN model WHEN 'executor' THEN executor
            WHEN 'day' THEN to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')
            WHEN 'month' THEN to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM')
            END AS what,
        sum(input)::bigint, sum(output)::bigint, sum(micros)::bigint AS micros, count(*),
        count(DISTINCT task_id), min(at), max(at), sum(input + output) AS tokens
    FROM af_usage
    WHERE at >= $2 AND at < $3 AND ($4::text IS NULL OR task_id = $4)
        AND ($5::text IS NULL OR tree_id = $5) AND ($6::text IS NULL OR user_id = $6)
        AND ($7::text IS NULL OR model = $7)
    GROUP BY 1
) AS sums
ORDER BY CASE WHEN $1 IN ('day', 'month') THEN what END COLLATE "C", micros DESC, tokens DESC,
    what COLLATE "C"
LIMIT $8
