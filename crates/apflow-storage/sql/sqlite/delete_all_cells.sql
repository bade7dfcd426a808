-- Everything that lies in channels.
DELETE FROM af_channel WHERE forest IN (SELECT value FROM json_each($1))
