-- Checkpoints that nobody goes on from any more.
DELETE FROM af_checkpoints WHERE task = ANY ($1::bigint[])
