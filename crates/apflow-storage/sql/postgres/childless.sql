-- Parents that lost their last child.
UPDATE af_tasks
SET has_children = 0
WHERE seq = $1 AND NOT EXISTS (SELECT 1 FROM af_tasks c WHERE c.parent = $1)
