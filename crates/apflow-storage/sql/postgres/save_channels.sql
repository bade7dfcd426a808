-- How channels stand after a change.
UPDATE af_channels AS c
SET revision = v.revision, keys = v.keys, bytes = v.bytes, at = v.at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS v (forest, revision, keys, bytes, at)
WHERE c.forest = v.forest
