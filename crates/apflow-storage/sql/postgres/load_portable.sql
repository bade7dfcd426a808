-- All that is known of the tasks of a submission.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets,
    t.id, t.parent, t.needs, t.definition, t.created_at, o.id, w.resolved, w.output, w.output_parts
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
LEFT JOIN af_tasks o ON o.seq = t.original
WHERE t.forest = $1
ORDER BY t.seq
