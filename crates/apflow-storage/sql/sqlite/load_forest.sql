-- All tasks of some submissions, with the edges between them.
SELECT t.parent, t.needs, w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets,
    t.fixed
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
WHERE t.forest IN (SELECT value FROM json_each($1))
ORDER BY w.seq
