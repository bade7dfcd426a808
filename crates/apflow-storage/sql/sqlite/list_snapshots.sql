-- The snapshots of a submission, newest first.
SELECT s.name, r.id, s.tasks, s.bytes, s.at, s.note
FROM af_snapshots s
JOIN af_trees r ON r.seq = s.tree
WHERE s.forest = $1
ORDER BY s.at DESC, s.name DESC
