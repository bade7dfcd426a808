-- Callbacks whose holder is gone.
UPDATE af_callbacks SET token = token + 1, holder = NULL, free_at = NULL
WHERE state = 'active' AND seq = ANY ($1::bigint[])
