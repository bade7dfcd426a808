-- Trees that go.
DELETE FROM af_trees WHERE seq IN (SELECT value FROM json_each($1))
