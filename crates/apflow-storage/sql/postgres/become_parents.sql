-- Tasks that something hangs under now.
UPDATE af_tasks
SET has_children = 1
WHERE seq = ANY ($1::bigint[])
