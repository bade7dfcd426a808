-- The submissions of some tasks.
SELECT DISTINCT forest FROM af_work WHERE seq IN (SELECT value FROM json_each($1))
