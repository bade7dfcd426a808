-- Gives owners their next turns, from the common one on; tells the last turn of each.
INSERT INTO af_turns (owner, next)
SELECT value ->> 0, $2 + (value ->> 1) FROM json_each($1) WHERE TRUE
ON CONFLICT (owner) DO UPDATE
SET next = max(af_turns.next, $2) + (excluded.next - $2)
RETURNING owner, next
