-- Trees that are paused or waited for, or are so no more.
UPDATE af_trees
SET paused = v.value ->> 1, awaited = v.value ->> 2
FROM json_each($1) AS v
WHERE af_trees.seq = v.value ->> 0
