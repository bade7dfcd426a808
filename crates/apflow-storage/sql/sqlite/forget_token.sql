-- Removes a token that does not work any more.
DELETE FROM af_tokens WHERE id = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2) RETURNING id
