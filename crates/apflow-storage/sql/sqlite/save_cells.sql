-- What lies in places of channels from now on.
INSERT INTO af_channel (forest, space, slot, value, version, expires_at)
SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4, v.value ->> 5
FROM json_each($1) AS v
WHERE true
ON CONFLICT (forest, space, slot) DO UPDATE
SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
