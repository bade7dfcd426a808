-- The token of a digest.
SELECT id, name, digest, user_id, admin, read_only, created_at, expires_at, last_used_at, revoked_at
FROM af_tokens WHERE digest = $1
