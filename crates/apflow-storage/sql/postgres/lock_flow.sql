-- tidy: pair because SQLite has one writer
-- Nobody else decides about these keys until the transaction ends. They come in the one order that
-- everybody keeps.
SELECT pg_advisory_xact_lock(hashtextextended(key, 12)) FROM unnest($1::text[]) AS v (key)
