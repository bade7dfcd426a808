-- Authored parts of tasks that go.
DELETE FROM af_tasks WHERE seq = ANY ($1::bigint[])
