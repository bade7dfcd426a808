-- When the paces of some keys are even again.
SELECT key, even_at FROM af_rates WHERE key IN (SELECT value FROM json_each($1))
