-- Removes one shared limit; tells whether there was one.
DELETE FROM af_limits WHERE key = $1 RETURNING key
