-- Waits of tasks that park; the same wait said anew takes the place of the old one.
INSERT INTO af_waits (id, task, tree, forest, run, key, kind, topic, detail, on_timeout, escalated_to, state, open, asked_at, until)
SELECT v.id, v.task, v.tree, v.forest, v.run, v.key, v.kind, v.topic, v.detail, v.on_timeout, NULL, 'pending', TRUE,
    $2::bigint, v.until
FROM json_to_recordset($1::json) AS v (id text, task bigint, tree bigint, forest bigint, run bigint, key text,
    kind text, topic text, detail text, on_timeout text, until bigint)
ON CONFLICT (task, run, key) DO UPDATE
SET id = excluded.id, kind = excluded.kind, topic = excluded.topic, detail = excluded.detail,
    on_timeout = excluded.on_timeout, escalated_to = NULL, state = 'pending', open = TRUE, answer = NULL,
    answered_by = NULL, asked_at = excluded.asked_at, until = excluded.until, answered_at = NULL,
    token_hash = NULL
