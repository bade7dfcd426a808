-- One breaker.
SELECT key, circuit, policy, touched_at FROM af_breakers WHERE key = $1
