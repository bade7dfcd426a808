-- Trees that got more tasks.
UPDATE af_trees
SET total = total + v.more
FROM unnest($1::bigint[], $2::bigint[]) AS v (seq, more)
WHERE af_trees.seq = v.seq
