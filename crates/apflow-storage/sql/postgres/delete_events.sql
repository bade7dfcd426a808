-- What happened in trees that go.
DELETE FROM af_events WHERE tree = ANY ($1::bigint[])
