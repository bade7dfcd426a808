-- What came for the waits of tasks in the run of their tree.
SELECT w.task, w.key, w.state, w.answer, w.answered_by, w.answered_at
FROM af_waits w
JOIN af_trees r ON r.seq = w.tree
WHERE w.task IN (SELECT value FROM json_each($1)) AND w.run = r.run AND NOT w.open
