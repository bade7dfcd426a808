-- The first ones of those that one thing holds, in the order in which they are to begin.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_work w
WHERE w.state = 'ready' AND w.held IS NOT NULL
    AND w.held::jsonb ->> 'by' = $1 AND w.held::jsonb ->> 'key' = $2
ORDER BY w.priority, w.turn, w.seq
LIMIT $3
FOR UPDATE OF w
