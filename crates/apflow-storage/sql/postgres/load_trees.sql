-- The trees whose counters are about to change.
SELECT seq, forest, run, options, total, open, completed, failed, cancelled, outcome, deadline,
    started_at, finished_at, paused, awaited
FROM af_trees
WHERE seq IN (SELECT tree FROM af_work WHERE seq = ANY ($1::bigint[]))
