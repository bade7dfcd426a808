-- New submissions.
INSERT INTO af_forests (seq, live, open)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each($6)
