-- Channels of submissions that have none yet; a submission that is about to go is waited for.
INSERT INTO af_channels (forest)
SELECT f.seq FROM af_forests f
WHERE f.seq = ANY ($1::bigint[])
    AND NOT EXISTS (SELECT 1 FROM af_channels c WHERE c.forest = f.seq)
ORDER BY f.seq
FOR KEY SHARE OF f
ON CONFLICT (forest) DO NOTHING
