-- How breakers stand.
INSERT INTO af_breakers (key, circuit, policy, touched_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE TRUE
ON CONFLICT (key) DO UPDATE
SET circuit = excluded.circuit, policy = excluded.policy, touched_at = excluded.touched_at
