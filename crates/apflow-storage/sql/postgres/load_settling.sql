-- The tasks that settle and those that wait for them; claims and renewals touch them without the lock
-- of their submission, so each row is locked too, in the one order that everybody keeps.
SELECT w.seq, w.tree, w.forest, w.state, w.priority, w.join_any, w.token, w.attempts, w.max_attempts,
    w.waiting_for, w.failed_needs, w.wake_at, w.worker, w.detail, w.error, w.started_at, w.completed_at,
    w.held, w.turn, w.facets
FROM af_work w
WHERE w.seq IN (
    SELECT unnest($1::bigint[])
    UNION
    SELECT (e.edge ->> 0)::bigint
    FROM af_tasks t
    CROSS JOIN LATERAL jsonb_array_elements(t.dependents::jsonb) AS e (edge)
    WHERE t.seq = ANY ($1::bigint[]) AND t.dependents IS NOT NULL
)
ORDER BY w.seq
FOR UPDATE OF w
