-- Slots that fired, or wait from now on. A slot that waits may fire; one that fired is left alone, and
-- is missing from the answer.
INSERT INTO af_slots (task, slot, fired_at)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM jsonb_each($1)
WHERE true
ON CONFLICT (task, slot) DO UPDATE SET fired_at = excluded.fired_at
WHERE af_slots.fired_at IS NULL AND excluded.fired_at IS NOT NULL
RETURNING task, slot
