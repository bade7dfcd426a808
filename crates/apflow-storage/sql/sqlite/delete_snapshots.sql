-- Snapshots of submissions that go.
DELETE FROM af_snapshots WHERE forest IN (SELECT value FROM json_each($1))
