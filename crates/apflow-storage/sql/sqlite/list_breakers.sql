-- The breakers of which something is known.
SELECT key, circuit, policy, touched_at FROM af_breakers ORDER BY key LIMIT $1
