-- Breakers of which there is nothing to remember.
DELETE FROM af_breakers WHERE key IN (SELECT value FROM json_each($1))
