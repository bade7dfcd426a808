-- When tasks that came from elsewhere were stored there.
UPDATE af_tasks t
SET created_at = v.at
FROM unnest($1::bigint[], $2::bigint[]) AS v (seq, at)
WHERE t.seq = v.seq
