-- A task as its author writes it now.
UPDATE af_tasks
SET definition = $2, executor = $3, needs = $4, user_id = $5
WHERE seq = $1
