-- The submissions of some tasks.
SELECT DISTINCT forest FROM af_work WHERE seq = ANY ($1::bigint[])
