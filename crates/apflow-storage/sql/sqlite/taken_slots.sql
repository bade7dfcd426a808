-- Which of these slots fired before, or wait.
SELECT f.task, f.slot, f.fired_at IS NULL
FROM jsonb_each($1) AS v
JOIN af_slots f ON f.task = v.value ->> 0 AND f.slot = v.value ->> 1
