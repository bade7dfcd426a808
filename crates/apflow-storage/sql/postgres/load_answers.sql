-- What came for the waits of tasks in the run of their tree.
SELECT w.task, w.key, w.state, w.answer, w.answered_by, w.answered_at
FROM af_waits w
JOIN af_trees r ON r.seq = w.tree
WHERE w.task = ANY ($1::bigint[]) AND w.run = r.run AND NOT w.open
