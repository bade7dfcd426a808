-- The tables there are; each is counted by a statement of its own.
SELECT c.relname::text
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname LIKE 'af\_%'
ORDER BY c.relname
