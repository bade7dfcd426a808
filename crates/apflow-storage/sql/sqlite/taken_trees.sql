-- Which of these tree ids are taken.
SELECT id FROM af_trees WHERE id IN (SELECT value FROM json_each($2))
