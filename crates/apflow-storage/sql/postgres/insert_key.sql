-- A key and what it stands for from now on.
INSERT INTO af_idempotency (owner, key, digest, trees, created_at) VALUES ($1, $2, $3, $4, $5)
