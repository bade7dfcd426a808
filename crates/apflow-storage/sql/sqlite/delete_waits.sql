-- Waits of tasks that go.
DELETE FROM af_waits WHERE task IN (SELECT value FROM json_each($1))
