-- Callbacks of trees that go.
DELETE FROM af_callbacks WHERE tree IN (SELECT value FROM json_each($1))
