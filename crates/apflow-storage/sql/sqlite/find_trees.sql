-- Where the trees of these ids are.
SELECT id, seq, forest FROM af_trees WHERE id IN (SELECT value FROM json_each($1))
