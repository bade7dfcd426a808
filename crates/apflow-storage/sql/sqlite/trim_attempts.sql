-- Of tasks with many attempts, the first and the newest stay.
DELETE FROM af_attempts
WHERE (task, token) IN (
    SELECT r.task, r.token
    FROM (
        SELECT a.task, a.token,
            row_number() OVER (PARTITION BY a.task ORDER BY a.token) AS place,
            row_number() OVER (PARTITION BY a.task ORDER BY a.token DESC) AS age
        FROM af_attempts a
        WHERE a.task IN (SELECT value FROM json_each($1))
    ) AS r
    WHERE r.place > $2 AND r.age > $3
)
