-- Values and locks of one channel whose time is over.
DELETE FROM af_channel
WHERE forest = $1 AND expires_at <= $2
RETURNING forest, space, slot, value, version, expires_at
