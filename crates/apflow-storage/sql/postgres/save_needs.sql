-- What tasks have to wait for from now on.
UPDATE af_tasks
SET needs = v.needs
FROM unnest($1::bigint[], $2::text[]) AS v (seq, needs)
WHERE af_tasks.seq = v.seq
