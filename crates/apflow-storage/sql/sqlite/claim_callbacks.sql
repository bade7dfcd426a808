-- Callbacks that have something to tell, those first that nobody saw to for the longest.
UPDATE af_callbacks
SET token = token + 1, holder = $1, free_at = $2, touched_at = $3
WHERE seq IN (
    SELECT c.seq FROM af_callbacks c
    WHERE c.state = 'active' AND (c.free_at IS NULL OR c.free_at <= $3)
        AND EXISTS (SELECT 1 FROM af_events e WHERE e.tree = c.tree AND e.seq > c.position)
    ORDER BY c.touched_at
    LIMIT $4
)
RETURNING seq, id, target, timeout, max_retries, tree, token, position, attempts,
    (SELECT r.id FROM af_trees r WHERE r.seq = tree)
