-- Breakers of which nobody spoke for long.
DELETE FROM af_breakers WHERE touched_at < $1
