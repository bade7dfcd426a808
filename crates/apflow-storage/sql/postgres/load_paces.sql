-- When the paces of some keys are even again.
SELECT key, even_at FROM af_rates WHERE key = ANY ($1::text[])
