-- What tasks have to wait for from now on.
UPDATE af_tasks
SET needs = v.needs
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS needs FROM json_each($1)) AS v
WHERE af_tasks.seq = v.seq
