-- Callbacks whose holder is gone.
UPDATE af_callbacks SET token = token + 1, holder = NULL, free_at = NULL
WHERE state = 'active' AND seq IN (SELECT value FROM json_each($1))
