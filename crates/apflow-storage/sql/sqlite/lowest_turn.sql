-- The lowest turn of those that may be claimed now, of each urgency on its own.
SELECT min(turn)
FROM (
    SELECT min(turn) AS turn FROM af_work WHERE state = 'ready' AND held IS NULL AND priority = 0
    UNION ALL
    SELECT min(turn) FROM af_work WHERE state = 'ready' AND held IS NULL AND priority = 1
    UNION ALL
    SELECT min(turn) FROM af_work WHERE state = 'ready' AND held IS NULL AND priority = 2
    UNION ALL
    SELECT min(turn) FROM af_work WHERE state = 'ready' AND held IS NULL AND priority = 3
) AS lowest
