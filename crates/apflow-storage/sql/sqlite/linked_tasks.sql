-- Which of these tasks others link to.
SELECT DISTINCT original
FROM af_tasks
WHERE original IS NOT NULL AND original IN (SELECT value FROM json_each($1))
