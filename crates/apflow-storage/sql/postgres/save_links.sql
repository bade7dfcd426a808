-- What new links answer for.
UPDATE af_tasks
SET original = v.original, fixed = 1
FROM unnest($1::bigint[], $2::bigint[]) AS v (seq, original)
WHERE af_tasks.seq = v.seq
