-- Schedules of tasks that go.
DELETE FROM af_schedules WHERE task = ANY ($1::bigint[])
