-- What lies in some places of channels.
SELECT c.forest, c.space, c.slot, c.value, c.version, c.expires_at
FROM json_each($1) AS v
CROSS JOIN af_channel c
    ON c.forest = v.value ->> 0 AND c.space = v.value ->> 1 AND c.slot = v.value ->> 2
