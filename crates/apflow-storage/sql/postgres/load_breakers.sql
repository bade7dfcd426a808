-- The breakers of some keys.
SELECT key, circuit, policy, touched_at FROM af_breakers WHERE key = ANY ($1::text[])
