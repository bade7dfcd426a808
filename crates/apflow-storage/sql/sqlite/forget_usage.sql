-- Forgets what was spent long ago; budgets keep their sums.
DELETE FROM af_usage
WHERE seq IN (SELECT seq FROM af_usage WHERE at < $1 ORDER BY at LIMIT $2)
RETURNING seq
