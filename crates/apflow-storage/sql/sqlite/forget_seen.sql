-- Forgets marks whose time is over, a bounded number at once.
DELETE FROM af_seen WHERE seq IN (SELECT seq FROM af_seen WHERE until <= $1 LIMIT 1000)
