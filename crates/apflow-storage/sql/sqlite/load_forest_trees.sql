-- All trees of some submissions.
SELECT seq, forest, run, options, total, open, completed, failed, cancelled, outcome, deadline,
    started_at, finished_at, paused, awaited
FROM af_trees
WHERE forest IN (SELECT value FROM json_each($1))
ORDER BY seq
