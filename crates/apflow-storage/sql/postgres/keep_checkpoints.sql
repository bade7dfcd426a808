-- What attempts put aside, in the place of what was there.
INSERT INTO af_checkpoints (task, number, attempt, step, value, at)
SELECT v.task, 1, v.attempt, v.step, v.value, $5
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS v (task, attempt, step, value)
ON CONFLICT (task) DO UPDATE
SET number = af_checkpoints.number + 1,
    attempt = excluded.attempt,
    step = excluded.step,
    value = excluded.value,
    at = excluded.at
