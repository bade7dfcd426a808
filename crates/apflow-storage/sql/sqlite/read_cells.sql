-- What lies in some places of one channel, and how it stands; $4 is the moment.
SELECT coalesce(h.pass, 0), coalesce(h.at, 0), $4, c.slot, c.value, c.version, c.expires_at
FROM af_forests f
LEFT JOIN af_channels h ON h.forest = f.seq
LEFT JOIN af_channel c
    ON c.forest = f.seq AND c.space = $2 AND c.slot IN (SELECT value FROM json_each($3))
WHERE f.seq = $1
