-- Slots of tasks that go.
DELETE FROM af_slots WHERE task = ANY ($1::bigint[])
