-- Ids from one text up to another, in the order of their bytes.
SELECT id FROM af_tasks
WHERE id >= $1 AND id < $2 AND ($3::text IS NULL OR user_id = $3)
ORDER BY id
LIMIT $4
