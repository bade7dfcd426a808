-- What happened, in order.
INSERT INTO af_events (tree, task, kind, attempt, at, detail)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, $5, value ->> 4
FROM jsonb_each($4)
