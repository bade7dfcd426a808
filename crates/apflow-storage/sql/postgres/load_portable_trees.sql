-- All that is known of the trees of a submission.
SELECT seq, id, user_id, options, run, outcome, created_at, started_at, finished_at
FROM af_trees
WHERE forest = $1
ORDER BY seq
