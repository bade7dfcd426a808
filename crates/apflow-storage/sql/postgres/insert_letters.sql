-- Tasks that failed for good; a letter from before is written anew.
INSERT INTO af_dead_letters (task, tree, user_id, executor, reason, kind, error, attempts, run, at)
SELECT v.task, t.tree, t.user_id, t.executor, v.reason, v.kind, v.error, v.attempts, v.run, $7::bigint
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS v (task, reason, kind, error, attempts, run)
JOIN af_tasks t ON t.seq = v.task
ON CONFLICT (task) DO UPDATE SET reason = excluded.reason, kind = excluded.kind,
    error = excluded.error, attempts = excluded.attempts, run = excluded.run, at = excluded.at
