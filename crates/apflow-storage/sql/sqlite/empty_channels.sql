-- Channels of submissions that begin again from nothing.
INSERT INTO af_channels (forest, pass)
SELECT value, 1 FROM json_each($1)
WHERE true
ON CONFLICT (forest) DO UPDATE SET pass = af_channels.pass + 1, keys = 0, bytes = 0
