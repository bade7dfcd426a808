-- Who wants to be told of runs that begin.
INSERT INTO af_callbacks (id, tree, target, timeout, max_retries, state, position, touched_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 'active', value ->> 5, $2
FROM json_each($1)
