-- How many bytes the database takes; the server keeps no count of those that are free.
SELECT pg_database_size(current_database()), 0::bigint
