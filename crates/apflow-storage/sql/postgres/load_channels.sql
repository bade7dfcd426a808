-- How channels stand; nobody else changes them until the end of the transaction.
SELECT forest, pass, revision, keys, bytes, at FROM af_channels
WHERE forest = ANY ($1::bigint[])
ORDER BY forest
FOR UPDATE
