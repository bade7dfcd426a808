-- A tree that lost tasks.
UPDATE af_trees SET total = total - $2 WHERE seq = $1
