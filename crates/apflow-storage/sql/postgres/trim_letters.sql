-- The oldest letters of owners who have more than may be kept.
DELETE FROM af_dead_letters
WHERE task IN (
    SELECT r.task
    FROM (
        SELECT l.task,
            row_number() OVER (PARTITION BY l.user_id ORDER BY l.at DESC, l.task DESC) AS place
        FROM af_dead_letters l
    ) AS r
    WHERE r.place > $1::bigint
    LIMIT $2::bigint
)
RETURNING task
