-- The newest tokens of some tasks.
SELECT seq, token FROM af_work WHERE seq = ANY ($1::bigint[])
