-- The oldest slot of one task that is known to have fired, and how many are known.
SELECT min(slot), count(*) FROM af_slots WHERE task = $1 AND fired_at IS NOT NULL
