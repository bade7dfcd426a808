-- The number of the last event there is.
SELECT coalesce(max(seq), 0) FROM af_events
