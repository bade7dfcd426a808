-- All tokens, oldest first.
SELECT id, name, digest, user_id, admin, read_only, created_at, expires_at, last_used_at, revoked_at
FROM af_tokens ORDER BY created_at, id LIMIT $1
