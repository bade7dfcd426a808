-- A new submission links to these.
INSERT INTO af_references (original, forest)
SELECT original, $2 FROM unnest($1::bigint[]) AS v (original)
ON CONFLICT DO NOTHING
