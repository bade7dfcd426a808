-- Attempts of tasks that go.
DELETE FROM af_attempts WHERE task = ANY ($1::bigint[])
