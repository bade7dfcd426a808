-- What lies in some places of channels.
SELECT c.forest, c.space, c.slot, c.value, c.version, c.expires_at
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS v (forest, space, slot)
JOIN af_channel c ON c.forest = v.forest AND c.space = v.space AND c.slot = v.slot
