-- The breakers of some keys.
SELECT key, circuit, policy, touched_at FROM af_breakers WHERE key IN (SELECT value FROM json_each($1))
