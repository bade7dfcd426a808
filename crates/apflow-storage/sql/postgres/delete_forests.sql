-- Submissions of which nothing is left.
DELETE FROM af_forests
WHERE seq = ANY ($1::bigint[])
    AND NOT EXISTS (SELECT 1 FROM af_trees WHERE af_trees.forest = af_forests.seq)
