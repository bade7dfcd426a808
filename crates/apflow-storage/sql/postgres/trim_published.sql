-- Forgets the oldest events beyond a number, and of those that are too old a few at a time.
DELETE FROM af_published
WHERE seq IN (
    SELECT seq FROM (SELECT seq, at FROM af_published ORDER BY seq LIMIT 100) AS oldest
    WHERE oldest.at < $1 OR oldest.seq <= (SELECT max(seq) FROM af_published) - $2
)
