-- Trees that got more tasks.
UPDATE af_trees
SET total = total + v.more
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS more FROM json_each($1)) AS v
WHERE af_trees.seq = v.seq
