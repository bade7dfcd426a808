-- Pieces of results that are too large for a row.
INSERT INTO af_output_parts (task, part, body)
SELECT value ->> 0, value ->> 1, value ->> 2
FROM jsonb_each($1)
WHERE true
ON CONFLICT (task, part) DO UPDATE SET body = excluded.body
