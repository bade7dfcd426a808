-- Where these tasks stand.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_work w
WHERE w.seq IN (SELECT value FROM json_each($1))
