-- Of tasks with many attempts, the first and the newest stay.
DELETE FROM af_attempts
WHERE (task, token) IN (
    SELECT r.task, r.token
    FROM (
        SELECT a.task, a.token,
            row_number() OVER (PARTITION BY a.task ORDER BY a.token) AS place,
            row_number() OVER (PARTITION BY a.task ORDER BY a.token DESC) AS age
        FROM af_attempts a
        WHERE a.task = ANY ($1::bigint[])
    ) AS r
    WHERE r.place > $2::bigint AND r.age > $3::bigint
)
