-- One task with everything that is known of it.
SELECT t.seq, t.id, r.id, p.id, t.has_children, t.definition, t.created_at,
    w.progress, w.resolved, w.output, w.output_parts, w.updated_at,
    w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at
FROM af_tasks t
JOIN af_work w ON w.seq = t.seq
JOIN af_trees r ON r.seq = t.tree
LEFT JOIN af_tasks p ON p.seq = t.parent
WHERE t.id = $1
