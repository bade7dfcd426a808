-- Submissions of which something can still move.
SELECT seq FROM af_forests WHERE live > 0 ORDER BY seq
