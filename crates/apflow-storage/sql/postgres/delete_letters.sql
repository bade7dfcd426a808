-- Letters of tasks that go, or begin anew.
DELETE FROM af_dead_letters WHERE task = ANY ($1::bigint[])
