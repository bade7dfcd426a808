-- How many dead letters pass a filter.
SELECT count(*)
FROM af_dead_letters l
JOIN af_tasks t ON t.seq = l.task
WHERE ($1::text IS NULL OR l.user_id = $1::text)
    AND ($2::text IS NULL OR l.executor = $2::text)
    AND ($3::text IS NULL OR l.kind = $3::text)
    AND ($4::text IS NULL OR l.reason = $4::text)
    AND ($5::bigint IS NULL OR l.at >= $5::bigint)
    AND ($6::bigint IS NULL OR l.at < $6::bigint)
    AND ($7::text[] IS NULL OR t.id = ANY ($7::text[]))
