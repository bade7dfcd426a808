-- Sets tasks free that wait for what was put aside, those first that are first in turn.
UPDATE af_work
SET held = NULL, wake_at = NULL, updated_at = $3
FROM (
    SELECT w.seq
    FROM af_work w
    WHERE w.state = 'ready' AND w.held IS NOT NULL
        AND w.held::jsonb ->> 'key' = ANY ($1::text[]) AND w.held::jsonb ->> 'by' = 'budget'
    ORDER BY w.priority, w.turn, w.seq
    LIMIT $2
    FOR UPDATE
) AS waiting
WHERE af_work.seq = waiting.seq
RETURNING af_work.seq
