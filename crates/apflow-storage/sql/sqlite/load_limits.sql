-- The shared limits of some keys.
SELECT key, max, rate FROM af_limits WHERE key IN (SELECT value FROM json_each($1))
