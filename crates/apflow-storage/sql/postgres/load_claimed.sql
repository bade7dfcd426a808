-- What a worker has to know of the tasks it takes.
SELECT t.seq, t.id, r.id, r.deadline, t.definition, r.run,
    COALESCE(r.demo_run = r.run, FALSE)
FROM af_tasks t
JOIN af_trees r ON r.seq = t.tree
WHERE t.seq = ANY ($1::bigint[])
