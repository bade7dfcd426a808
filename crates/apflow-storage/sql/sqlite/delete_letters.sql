-- Letters of tasks that go, or begin anew.
DELETE FROM af_dead_letters WHERE task IN (SELECT value FROM json_each($1))
