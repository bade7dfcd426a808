-- One snapshot of a submission.
SELECT s.name, r.id, s.tasks, s.bytes, s.at, s.note, s.body
FROM af_snapshots s
JOIN af_trees r ON r.seq = s.tree
WHERE s.forest = $1 AND s.name = $2
