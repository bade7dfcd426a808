-- The newest tokens of some tasks.
SELECT seq, token FROM af_work WHERE seq IN (SELECT value FROM json_each($1))
