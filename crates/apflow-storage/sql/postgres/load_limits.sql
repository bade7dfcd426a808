-- The shared limits of some keys.
SELECT key, max, rate FROM af_limits WHERE key = ANY ($1::text[])
