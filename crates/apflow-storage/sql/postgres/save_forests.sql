-- How many tasks of a submission can still move, and how many have not ended.
UPDATE af_forests
SET live = v.live, open = v.open
FROM unnest($37::bigint[], $38::bigint[], $39::bigint[]) AS v (seq, live, open)
WHERE af_forests.seq = v.seq
