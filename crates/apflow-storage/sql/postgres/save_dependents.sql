-- Who waits for a task now.
UPDATE af_tasks SET dependents = $2 WHERE seq = $1
