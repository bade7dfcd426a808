-- The last place in the order of submission that is taken.
SELECT coalesce(max(seq), 0) FROM af_tasks
