-- The tables there are; each is counted by a statement of its own.
SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'af_*' ORDER BY name
