-- Sets tasks free that wait for what was put aside, those first that are first in turn.
UPDATE af_work
SET held = NULL, wake_at = NULL, updated_at = $3
WHERE seq IN (
    SELECT w.seq
    FROM af_work w
    WHERE w.state = 'ready' AND w.held IS NOT NULL
        AND w.held ->> 'key' IN (SELECT value FROM json_each($1)) AND w.held ->> 'by' = 'budget'
    ORDER BY w.priority, w.turn, w.seq
    LIMIT $2
)
RETURNING seq
