-- Which of these task ids are taken.
SELECT id FROM af_tasks WHERE id IN (SELECT value FROM json_each($1))
