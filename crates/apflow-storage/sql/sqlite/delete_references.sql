-- The links of submissions that go.
DELETE FROM af_references WHERE forest IN (SELECT value FROM json_each($1))
