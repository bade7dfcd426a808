-- Which of these tree ids are taken.
SELECT id FROM af_trees WHERE id = ANY ($1::text[])
