-- Ids compare byte by byte, whatever the language of the database, so that the beginning of an id is a
-- range of the unique index. ids_in_range.sql
ALTER TABLE af_tasks ALTER COLUMN id TYPE TEXT COLLATE "C";
