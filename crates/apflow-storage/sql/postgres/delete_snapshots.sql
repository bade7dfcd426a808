-- Snapshots of submissions that go.
DELETE FROM af_snapshots WHERE forest = ANY ($1::bigint[])
