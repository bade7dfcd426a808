-- The submissions whose tasks are about to change.
SELECT seq, live, open
FROM af_forests
WHERE seq IN (SELECT forest FROM af_work WHERE seq IN (SELECT value FROM json_each($1)))
