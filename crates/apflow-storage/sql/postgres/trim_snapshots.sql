-- Only the newest snapshots of a submission stay.
DELETE FROM af_snapshots
WHERE forest = $1 AND name NOT IN (
    SELECT name FROM af_snapshots WHERE forest = $1 ORDER BY at DESC, name DESC LIMIT $2
)
