-- A row that could not be read.
INSERT INTO af_set_aside (relation, row, what, at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (relation, row) DO NOTHING
