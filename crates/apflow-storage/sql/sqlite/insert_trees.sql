-- New trees.
INSERT INTO af_trees (seq, id, forest, user_id, options, run, total, open, deadline, created_at,
    started_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, $5, value ->> 9
FROM jsonb_each($7)
