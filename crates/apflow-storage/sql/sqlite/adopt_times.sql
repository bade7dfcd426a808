-- When tasks that came from elsewhere were stored there.
UPDATE af_tasks
SET created_at = v.at
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS at FROM jsonb_each($1)) AS v
WHERE af_tasks.seq = v.seq
