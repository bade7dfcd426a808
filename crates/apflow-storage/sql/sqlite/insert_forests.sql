-- New submissions.
INSERT INTO af_forests (seq, live)
SELECT value ->> 0, value ->> 1 FROM json_each(?1)
