-- Channels of submissions that begin again from nothing.
INSERT INTO af_channels (forest, pass)
SELECT v.forest, 1 FROM unnest($1::bigint[]) AS v (forest)
ON CONFLICT (forest) DO UPDATE SET pass = af_channels.pass + 1, keys = 0, bytes = 0
