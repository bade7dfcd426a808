-- The tasks that may be claimed now, most urgent first; those that somebody else looks at are his.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_work w
WHERE w.state = 'ready' AND w.held IS NULL
ORDER BY w.priority, w.turn, w.seq
LIMIT $1::bigint
FOR UPDATE SKIP LOCKED
