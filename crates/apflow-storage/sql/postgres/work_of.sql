-- Where these tasks stand; their submission is locked already.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_work w
WHERE w.seq = ANY ($1::bigint[])
ORDER BY w.seq
FOR UPDATE OF w
