-- Where the schedules of some tasks stand, unless no scheduler has seen them since they were migrated.
SELECT task, enabled, slot, due_at, runs, skipped, waiting, last_run_at
FROM af_schedules
WHERE task IN (SELECT value FROM json_each($1)) AND kind <> ''
