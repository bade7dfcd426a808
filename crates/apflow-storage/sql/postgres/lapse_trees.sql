-- Trees whose time is over.
SELECT seq FROM af_trees WHERE deadline <= $1 ORDER BY deadline, seq LIMIT $2
