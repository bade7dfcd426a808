-- The submissions whose tasks are about to change. Whoever has this lock is the only one who settles
-- in them; what is read in later statements is what the holder before has committed. Without it two
-- needs of one task that settle at once would each believe that the other is unfinished.
SELECT f.seq, f.live, f.open
FROM af_forests f
WHERE f.seq IN (SELECT w.forest FROM af_work w WHERE w.seq = ANY ($1::bigint[]))
ORDER BY f.seq
FOR UPDATE OF f
