-- Tasks that stay as they are from now on.
UPDATE af_tasks
SET definition = v.definition, fixed = 1
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS definition FROM json_each($1)) AS v
WHERE af_tasks.seq = v.seq
