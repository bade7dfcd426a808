-- Which of these slots fired before, or wait.
SELECT f.task, f.slot, f.fired_at IS NULL
FROM unnest($1::bigint[], $2::bigint[]) AS v (task, slot)
JOIN af_slots f ON f.task = v.task AND f.slot = v.slot
