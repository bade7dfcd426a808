-- Letters that somebody throws away, by the ids of their tasks.
DELETE FROM af_dead_letters
WHERE task IN (SELECT t.seq FROM af_tasks t WHERE t.id IN (SELECT value FROM json_each($1)))
RETURNING task
