-- Slots that wait and will not fire.
DELETE FROM af_slots WHERE task IN (SELECT value FROM json_each($1)) AND fired_at IS NULL
