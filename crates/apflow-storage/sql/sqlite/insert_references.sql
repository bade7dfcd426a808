-- A new submission links to these.
INSERT INTO af_references (original, forest)
SELECT value, $2 FROM json_each($1)
WHERE true
ON CONFLICT DO NOTHING
