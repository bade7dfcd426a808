-- The event of a key, if it came before.
SELECT id FROM af_published WHERE topic = $1 AND key = $2 ORDER BY seq LIMIT 1
