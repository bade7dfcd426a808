-- How many tasks of a submission can still move.
UPDATE af_forests
SET live = v.live
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS live FROM json_each(?3)) AS v
WHERE af_forests.seq = v.seq
