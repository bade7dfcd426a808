-- Where new tasks stand.
INSERT INTO af_work (seq, tree, forest, state, priority, join_any, token, max_attempts,
    waiting_for, updated_at, turn, facets, wake_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    value ->> 7, value ->> 8, $5, value ->> 9, value ->> 10, value ->> 11
FROM jsonb_each($9)
