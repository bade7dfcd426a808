-- How the callbacks of a tree stand.
SELECT c.id, c.state, c.position, c.attempts, c.delivered, c.given_up, c.note
FROM af_trees r
JOIN af_callbacks c ON c.tree = r.seq
WHERE r.id = $1
ORDER BY c.seq
