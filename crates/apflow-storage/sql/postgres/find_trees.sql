-- Where the trees of these ids are.
SELECT id, seq, forest FROM af_trees WHERE id = ANY ($1::text[])
