-- Longer leases for those who still hold them; tells which those are. Rows are locked in the one order
-- that everybody keeps.
WITH held AS MATERIALIZED (
    SELECT w.seq, v.progress
    FROM unnest($1::bigint[], $2::bigint[], $3::double precision[]) AS v (seq, token, progress)
    JOIN af_work w ON w.seq = v.seq
    WHERE w.state = 'running' AND w.token = v.token
    ORDER BY w.seq
    FOR UPDATE OF w
)
UPDATE af_work
SET wake_at = $4,
    progress = coalesce(held.progress, af_work.progress)
FROM held
WHERE af_work.seq = held.seq
RETURNING af_work.seq
