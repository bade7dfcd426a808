-- Tasks that failed for good; a letter from before is written anew.
INSERT INTO af_dead_letters (task, tree, user_id, executor, reason, kind, error, attempts, run, at)
SELECT value ->> 0, t.tree, t.user_id, t.executor, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    value ->> 5, $2
FROM json_each($1)
JOIN af_tasks t ON t.seq = value ->> 0
WHERE true
ON CONFLICT (task) DO UPDATE SET reason = excluded.reason, kind = excluded.kind,
    error = excluded.error, attempts = excluded.attempts, run = excluded.run, at = excluded.at
