-- Places in the order of submission.
SELECT nextval('af_seq') FROM generate_series(1, $1::bigint)
