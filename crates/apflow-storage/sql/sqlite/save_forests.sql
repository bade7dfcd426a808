-- How many tasks of a submission can still move, and how many have not ended.
UPDATE af_forests
SET live = v.live, open = v.open
FROM (
    SELECT value ->> 0 AS seq, value ->> 1 AS live, value ->> 2 AS open FROM jsonb_each($3)
) AS v
WHERE af_forests.seq = v.seq
