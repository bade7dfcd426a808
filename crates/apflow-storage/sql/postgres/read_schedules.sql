-- Where the schedules of some tasks stand, unless no scheduler has seen them since they were migrated.
SELECT task, enabled, slot, due_at, runs, skipped, waiting, last_run_at
FROM af_schedules
WHERE task = ANY ($1::bigint[]) AND kind <> ''
