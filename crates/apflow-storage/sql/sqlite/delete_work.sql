-- Changing parts of tasks that go.
DELETE FROM af_work WHERE seq IN (SELECT value FROM json_each($1))
