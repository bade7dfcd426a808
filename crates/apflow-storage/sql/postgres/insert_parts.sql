-- Pieces of results that are too large for a row.
INSERT INTO af_output_parts (task, part, body)
SELECT task, part, body
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS v (task, part, body)
ON CONFLICT (task, part) DO UPDATE SET body = excluded.body
