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
FROM unnest($27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[],
    $33::text[], $34::bigint[], $35::bigint[], $36::bigint[])
    AS v (seq, run, open, completed, failed, cancelled, outcome, deadline, started_at, finished_at)
WHERE af_trees.seq = v.seq
