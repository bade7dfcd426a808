-- Attempts that ended without a result.
INSERT INTO af_attempts (task, token, run, attempt, cycle, worker, began, ended, outcome, kind, cause,
    retry_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM json_each($1)
WHERE true
ON CONFLICT (task, token) DO NOTHING
