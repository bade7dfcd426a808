-- When paces are even again.
INSERT INTO af_rates (key, even_at)
SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (key) DO UPDATE SET even_at = excluded.even_at
