-- Authored parts of tasks that go.
DELETE FROM af_tasks WHERE seq IN (SELECT value FROM json_each($1))
