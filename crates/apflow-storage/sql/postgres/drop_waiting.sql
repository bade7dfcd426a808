-- Slots that wait and will not fire.
DELETE FROM af_slots WHERE task = ANY ($1::bigint[]) AND fired_at IS NULL
