-- A mark, unless it is there already; looked for first, so that one that comes again uses up no number.
INSERT INTO af_seen (mark, until)
SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM af_seen WHERE mark = $1)
ON CONFLICT DO NOTHING
RETURNING seq
