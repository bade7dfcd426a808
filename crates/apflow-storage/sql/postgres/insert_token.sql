-- A token, unless its id, name or digest is taken.
INSERT INTO af_tokens (id, name, digest, user_id, admin, read_only, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING id
