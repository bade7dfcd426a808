-- Places of channels where nothing lies any more.
DELETE FROM af_channel c
USING unnest($1::bigint[], $2::text[], $3::text[]) AS v (forest, space, slot)
WHERE c.forest = v.forest AND c.space = v.space AND c.slot = v.slot
