-- A task and everything below it. The first join is a CROSS JOIN, which SQLite does not turn round: else
-- it reads the whole table to spare itself the sorting.
WITH RECURSIVE below (seq) AS (
    SELECT seq FROM af_tasks WHERE id = $1
    UNION ALL
    SELECT c.seq FROM af_tasks c JOIN below b ON c.parent = b.seq
)
SELECT t.seq, t.id, r.id, p.id, t.has_children, t.definition, t.created_at,
    w.progress, w.resolved, w.output, w.output_parts,
    CASE WHEN t.original IS NULL THEN w.updated_at ELSE t.created_at END,
    t.seq, t.tree, t.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets,
    o.definition, w.seq, EXISTS (SELECT 1 FROM af_tasks l WHERE l.original = t.seq)
FROM below b
CROSS JOIN af_tasks t ON t.seq = b.seq
JOIN af_work w ON w.seq = coalesce(t.original, t.seq)
LEFT JOIN af_tasks o ON o.seq = t.original
JOIN af_trees r ON r.seq = t.tree
LEFT JOIN af_tasks p ON p.seq = t.parent
ORDER BY t.seq
