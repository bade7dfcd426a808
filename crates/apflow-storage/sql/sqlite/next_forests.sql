-- Submissions after one, in order.
SELECT seq FROM af_forests WHERE seq > $1 ORDER BY seq LIMIT $2
