-- Gives owners their next turns, from the common one on; tells the last turn of each. Rows are locked in
-- the one order that everybody keeps.
INSERT INTO af_turns (owner, next)
SELECT v.owner, $3::bigint + v.count
FROM unnest($1::text[], $2::bigint[]) AS v (owner, count)
ORDER BY v.owner
ON CONFLICT (owner) DO UPDATE
SET next = greatest(af_turns.next, $3::bigint) + (excluded.next - $3::bigint)
RETURNING owner, next
