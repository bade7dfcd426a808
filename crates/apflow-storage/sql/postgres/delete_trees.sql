-- Trees that go.
DELETE FROM af_trees WHERE seq = ANY ($1::bigint[])
