-- Breakers of which there is nothing to remember.
DELETE FROM af_breakers WHERE key = ANY ($1::text[])
