-- What tasks have to wait for besides; both texts are arrays that are not empty.
UPDATE af_tasks
SET needs = CASE WHEN needs IS NULL THEN v.more
    ELSE substr(needs, 1, length(needs) - 1) || ',' || substr(v.more, 2) END
FROM unnest($1::bigint[], $2::text[]) AS v (seq, more)
WHERE af_tasks.seq = v.seq
