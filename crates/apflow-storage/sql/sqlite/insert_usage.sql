-- What attempts reported.
INSERT INTO af_usage
    (task_id, tree_id, user_id, executor, model, attempt, input, output, micros, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, $2
FROM json_each($1)
