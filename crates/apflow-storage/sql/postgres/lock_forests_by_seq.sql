-- The same as lock_forests, where the submissions are known.
SELECT seq, live, open FROM af_forests WHERE seq = ANY ($1::bigint[]) ORDER BY seq FOR UPDATE
