-- What lies in places of channels from now on.
INSERT INTO af_channel (forest, space, slot, value, version, expires_at)
SELECT v.forest, v.space, v.slot, v.value, v.version, v.expires_at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS v (forest, space, slot, value, version, expires_at)
ON CONFLICT (forest, space, slot) DO UPDATE
SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
