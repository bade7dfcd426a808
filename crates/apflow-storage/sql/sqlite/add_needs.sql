-- What tasks have to wait for besides; both texts are arrays that are not empty.
UPDATE af_tasks
SET needs = CASE WHEN needs IS NULL THEN v.more
    ELSE substr(needs, 1, length(needs) - 1) || ',' || substr(v.more, 2) END
FROM (SELECT value ->> 0 AS seq, value ->> 1 AS more FROM json_each($1)) AS v
WHERE af_tasks.seq = v.seq
