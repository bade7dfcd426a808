-- Idempotency keys that were used long ago, oldest first; tells which those are.
DELETE FROM af_idempotency k
USING (
    SELECT owner, key
    FROM af_idempotency
    WHERE created_at < $1
    ORDER BY created_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
) AS old
WHERE k.owner = old.owner AND k.key = old.key
RETURNING k.key
