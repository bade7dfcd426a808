-- Which of these tasks others link to.
SELECT DISTINCT original FROM af_tasks WHERE original = ANY ($1::bigint[])
