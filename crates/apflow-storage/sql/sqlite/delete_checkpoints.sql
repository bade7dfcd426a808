-- Checkpoints that nobody goes on from any more.
DELETE FROM af_checkpoints WHERE task IN (SELECT value FROM json_each($1))
