-- A ready task may be held back, takes turns with those of others, and may have what most tasks have not.
ALTER TABLE af_work ADD COLUMN held text;
ALTER TABLE af_work ADD COLUMN turn bigint NOT NULL DEFAULT 0;
ALTER TABLE af_work ADD COLUMN facets text;

DROP INDEX af_work_ready;
-- ready.sql
CREATE INDEX af_work_ready ON af_work (priority, turn, seq) WHERE state = 'ready' AND held IS NULL;
