-- The last number that was given to an event. Whoever holds the lock of a submission knows that every
-- event of it so far has this number or a lower one, and every event to come a higher one.
SELECT last_value - (NOT is_called)::integer FROM af_event_seq
