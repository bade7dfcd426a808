-- Counters of the trees that moved.
UPDATE af_trees
SET run = v.run,
    open = v.open,
    completed = v.completed,
    failed = v.failed,
    cancelled = v.cancelled,
    outcome = v.outcome,
    deadline = v.deadline,
    started_at = v.started_at,
    finished_at = v.finished_at
FROM (
    SELECT value ->> 0 AS seq, value ->> 1 AS run, value ->> 2 AS open, value ->> 3 AS completed,
        value ->> 4 AS failed, value ->> 5 AS cancelled, value ->> 6 AS outcome,
        value ->> 7 AS deadline, value ->> 8 AS started_at, value ->> 9 AS finished_at
    FROM jsonb_each($2)
) AS v
WHERE af_trees.seq = v.seq
