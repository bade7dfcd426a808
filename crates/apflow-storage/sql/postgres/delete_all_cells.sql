-- Everything that lies in channels.
DELETE FROM af_channel WHERE forest = ANY ($1::bigint[])
