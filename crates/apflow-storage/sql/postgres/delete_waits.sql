-- Waits of tasks that go.
DELETE FROM af_waits WHERE task = ANY ($1::bigint[])
