-- tidy: pair because only SQLite keeps what is on the move in memory
-- Ids of all trees of some submissions.
SELECT seq, id FROM af_trees WHERE forest IN (SELECT value FROM json_each($1))
