-- tidy: pair because only SQLite keeps what is on the move in memory
-- Ids of all trees of some submissions, and which of their runs was a demonstration.
SELECT seq, id, demo_run FROM af_trees WHERE forest IN (SELECT value FROM json_each($1))
