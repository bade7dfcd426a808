-- tidy: pair because only SQLite keeps what is on the move in memory
-- Submissions of which something can still move.
SELECT seq FROM af_forests WHERE live > 0 ORDER BY seq
