-- Which of these task ids are taken.
SELECT id FROM af_tasks WHERE id = ANY ($1::text[])
