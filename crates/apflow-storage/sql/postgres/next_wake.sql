-- When time alone will change something.
SELECT min(at)
FROM (
    SELECT min(wake_at) AS at FROM af_work WHERE wake_at IS NOT NULL
    UNION ALL
    SELECT min(deadline) FROM af_trees WHERE deadline IS NOT NULL
) AS moments
