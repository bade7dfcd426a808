-- tidy: pair because only SQLite keeps what is on the move in memory
-- All tasks of some submissions, with everything that claiming and settling them needs. What a link
-- hands over is read when it is needed.
SELECT t.id, t.executor, t.needs, t.dependents, t.definition, w.output,
    CASE WHEN t.original IS NULL THEN w.output_parts ELSE 1 END,
    w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
WHERE t.forest IN (SELECT value FROM json_each($1))
