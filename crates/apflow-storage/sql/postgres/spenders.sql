-- Whose spending the spending of some tasks is.
SELECT t.seq, t.id, r.id, t.user_id, t.executor
FROM af_tasks t
JOIN af_trees r ON r.seq = t.tree
WHERE t.seq = ANY ($1::bigint[])
