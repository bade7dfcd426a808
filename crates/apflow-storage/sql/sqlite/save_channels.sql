-- How channels stand after a change.
UPDATE af_channels
SET revision = v.value ->> 1, keys = v.value ->> 2, bytes = v.value ->> 3, at = v.value ->> 4
FROM json_each($1) AS v
WHERE forest = v.value ->> 0
