-- Callbacks of trees that go.
DELETE FROM af_callbacks WHERE tree = ANY ($1::bigint[])
