-- New submissions.
INSERT INTO af_forests (seq, live, open)
SELECT seq, live, open
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS v (seq, live, open)
