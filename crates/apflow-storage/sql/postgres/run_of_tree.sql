-- A tree and how its newest run stands.
SELECT r.seq, r.id, root.id, r.user_id, r.options, r.run, r.outcome, r.total, r.completed,
    r.started_at, r.finished_at
FROM af_trees r
JOIN af_tasks root ON root.seq = r.seq
WHERE r.id = $1
