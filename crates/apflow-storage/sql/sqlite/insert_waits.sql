-- Waits of tasks that park; the same wait said anew takes the place of the old one.
INSERT INTO af_waits (id, task, tree, forest, run, key, kind, topic, detail, on_timeout, escalated_to, state, open, asked_at, until)
SELECT value ->> 'id', value ->> 'task', value ->> 'tree', value ->> 'forest', value ->> 'run', value ->> 'key',
    value ->> 'kind', value ->> 'topic', value ->> 'detail', value ->> 'on_timeout', NULL, 'pending', TRUE, $2,
    value ->> 'until'
FROM json_each($1)
WHERE TRUE
ON CONFLICT (task, run, key) DO UPDATE
SET id = excluded.id, kind = excluded.kind, topic = excluded.topic, detail = excluded.detail,
    on_timeout = excluded.on_timeout, escalated_to = NULL, state = 'pending', open = TRUE, answer = NULL,
    answered_by = NULL, asked_at = excluded.asked_at, until = excluded.until, answered_at = NULL,
    token_hash = NULL
