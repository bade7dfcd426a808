-- How breakers stand.
INSERT INTO af_breakers (key, circuit, policy, touched_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (key) DO UPDATE
SET circuit = excluded.circuit, policy = excluded.policy, touched_at = excluded.touched_at
