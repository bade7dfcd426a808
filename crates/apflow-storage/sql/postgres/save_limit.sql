-- Sets one shared limit.
INSERT INTO af_limits (key, max, rate) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET max = excluded.max, rate = excluded.rate
