-- Tasks of a submission that somebody may mean: `$2` and `$3` as ids, `$4` as a name.
SELECT seq, id, definition
FROM af_tasks
WHERE forest = $1 AND (id = $2 OR id = $3 OR definition::jsonb ->> 'name' = $4)
ORDER BY seq
