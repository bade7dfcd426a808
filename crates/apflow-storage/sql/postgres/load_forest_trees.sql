-- All trees of some submissions.
SELECT seq, forest, run, options, total, open, completed, failed, cancelled, outcome, deadline,
    started_at, finished_at, paused, awaited
FROM af_trees
WHERE forest = ANY ($1::bigint[])
ORDER BY seq
