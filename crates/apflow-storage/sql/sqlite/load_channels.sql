-- How channels stand.
SELECT forest, pass, revision, keys, bytes, at FROM af_channels
WHERE forest IN (SELECT value FROM json_each($1))
