-- What new links answer for.
UPDATE af_tasks
SET original = v.original, fixed = 1
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS original FROM json_each($1)) AS v
WHERE af_tasks.seq = v.seq
