-- Attempts of tasks that go.
DELETE FROM af_attempts WHERE task IN (SELECT value FROM json_each($1))
