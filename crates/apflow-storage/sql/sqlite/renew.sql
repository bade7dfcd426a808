-- Longer leases for those who still hold them; tells which those are.
UPDATE af_work
SET wake_at = $2,
    progress = coalesce(v.progress, af_work.progress)
FROM (
    SELECT value ->> 0 AS seq, value ->> 1 AS token, value ->> 2 AS progress FROM jsonb_each($1)
) AS v
WHERE af_work.seq = v.seq AND af_work.state = 'running' AND af_work.token = v.token
RETURNING af_work.seq
