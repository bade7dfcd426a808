-- All shared limits.
SELECT key, max, rate FROM af_limits ORDER BY key LIMIT $1
