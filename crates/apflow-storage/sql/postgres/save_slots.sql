-- Slots that fired, or wait from now on. A slot that waits may fire; one that fired is left alone, and
-- is missing from the answer.
INSERT INTO af_slots (task, slot, fired_at)
SELECT v.task, v.slot, v.fired_at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS v (task, slot, fired_at)
ON CONFLICT (task, slot) DO UPDATE SET fired_at = excluded.fired_at
WHERE af_slots.fired_at IS NULL AND excluded.fired_at IS NOT NULL
RETURNING task, slot
