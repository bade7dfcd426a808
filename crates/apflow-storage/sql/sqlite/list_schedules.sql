-- Tasks with a schedule that pass a filter, by next slot; those without one last.
SELECT t.seq, t.id, r.id, p.id, t.has_children, t.definition, t.created_at,
    w.progress, w.resolved, w.output, w.output_parts,
    CASE WHEN t.original IS NULL THEN w.updated_at ELSE t.created_at END,
    t.seq, t.tree, t.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets,
    o.definition, w.seq, EXISTS (SELECT 1 FROM af_tasks l WHERE l.original = t.seq)
FROM af_schedules s
JOIN af_tasks t ON t.seq = s.task
JOIN af_work w ON w.seq = coalesce(t.original, t.seq)
LEFT JOIN af_tasks o ON o.seq = t.original
JOIN af_trees r ON r.seq = s.tree
LEFT JOIN af_tasks p ON p.seq = t.parent
WHERE ($1 IS NULL OR s.user_id = $1)
    AND ($2 IS NULL OR s.kind = $2)
    AND ($3 IS NULL OR w.state IN (SELECT value FROM json_each($3)))
    AND (NOT $4 OR s.enabled)
    AND ($5 IS NULL OR s.slot <= $5)
ORDER BY s.slot NULLS LAST, s.task
LIMIT $6 OFFSET $7
