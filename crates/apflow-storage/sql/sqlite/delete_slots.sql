-- Slots of tasks that go.
DELETE FROM af_slots WHERE task IN (SELECT value FROM json_each($1))
