-- Trees that are paused or waited for, or are so no more.
UPDATE af_trees AS r
SET paused = v.paused, awaited = v.awaited
FROM unnest($1::bigint[], $2::boolean[], $3::boolean[]) AS v (seq, paused, awaited)
WHERE r.seq = v.seq
