-- When paces are even again.
INSERT INTO af_rates (key, even_at)
SELECT value ->> 0, value ->> 1 FROM json_each($1) WHERE TRUE
ON CONFLICT (key) DO UPDATE SET even_at = excluded.even_at
