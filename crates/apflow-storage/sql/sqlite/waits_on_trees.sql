-- Parked tasks that wait for a run of these trees, with the tree.
SELECT w.id, w.task, w.forest, w.state, w.detail, NULL, r.seq
FROM af_trees r
JOIN af_waits w ON w.topic = r.id
WHERE r.seq IN (SELECT value FROM json_each($1)) AND w.open AND w.topic IS NOT NULL AND w.kind = 'child'
ORDER BY w.seq
