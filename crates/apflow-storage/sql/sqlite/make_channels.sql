-- Channels of submissions that have none yet.
INSERT INTO af_channels (forest)
SELECT f.seq FROM af_forests f
WHERE f.seq IN (SELECT value FROM json_each($1))
    AND NOT EXISTS (SELECT 1 FROM af_channels c WHERE c.forest = f.seq)
