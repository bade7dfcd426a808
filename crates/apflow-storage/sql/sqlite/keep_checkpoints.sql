-- What attempts put aside, in the place of what was there.
INSERT INTO af_checkpoints (task, number, attempt, step, value, at)
SELECT value ->> 0, 1, value ->> 1, value ->> 2, value ->> 3, $2
FROM jsonb_each($1)
WHERE true
ON CONFLICT (task) DO UPDATE
SET number = af_checkpoints.number + 1,
    attempt = excluded.attempt,
    step = excluded.step,
    value = excluded.value,
    at = excluded.at
