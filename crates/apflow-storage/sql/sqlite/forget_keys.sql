-- Idempotency keys that were used long ago, oldest first; tells which those are.
DELETE FROM af_idempotency
WHERE (owner, key) IN (
    SELECT owner, key FROM af_idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2
)
RETURNING key
