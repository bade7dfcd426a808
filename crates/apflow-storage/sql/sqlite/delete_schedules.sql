-- Schedules of tasks that go.
DELETE FROM af_schedules WHERE task IN (SELECT value FROM json_each($1))
