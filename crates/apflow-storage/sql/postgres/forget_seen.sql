-- Forgets marks whose time is over, a bounded number at once; what another transaction forgets is left
-- to it.
DELETE FROM af_seen
WHERE seq IN (SELECT seq FROM af_seen WHERE until <= $1 ORDER BY until LIMIT 1000 FOR UPDATE SKIP LOCKED)
