-- Changing parts of tasks that go.
DELETE FROM af_work WHERE seq = ANY ($1::bigint[])
