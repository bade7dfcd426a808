-- What lies in a part of one channel, and how it stands; $6 is the moment.
SELECT coalesce(h.pass, 0), coalesce(h.at, 0), $6,
    c.slot, c.value, c.version, c.expires_at
FROM af_forests f
LEFT JOIN af_channels h ON h.forest = f.seq
LEFT JOIN af_channel c
    ON c.forest = f.seq AND c.space = $2 AND c.slot >= $3 AND c.slot < $4
    AND (c.expires_at IS NULL OR c.expires_at > $6)
WHERE f.seq = $1
ORDER BY c.slot
LIMIT $5
