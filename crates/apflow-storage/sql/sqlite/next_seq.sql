-- The last place in the order of submission that was ever given, also to a task that is gone.
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'af_tasks'
