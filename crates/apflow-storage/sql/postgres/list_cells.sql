-- What lies in a part of one channel, and how it stands; $6 is the moment, if somebody says it.
SELECT coalesce(h.pass, 0), coalesce(h.at, 0), coalesce($6::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
    c.slot, c.value, c.version, c.expires_at
FROM af_forests f
LEFT JOIN af_channels h ON h.forest = f.seq
LEFT JOIN af_channel c
    ON c.forest = f.seq AND c.space = $2 AND c.slot >= $3 AND c.slot < $4
    AND (c.expires_at IS NULL OR c.expires_at > coalesce($6::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint))
WHERE f.seq = $1
ORDER BY c.slot
LIMIT $5
