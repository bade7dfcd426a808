-- What happened in trees that go.
DELETE FROM af_events WHERE tree IN (SELECT value FROM json_each($1))
