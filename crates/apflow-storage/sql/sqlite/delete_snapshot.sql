-- A snapshot that is not wanted any more.
DELETE FROM af_snapshots WHERE forest = $1 AND name = $2 RETURNING name
