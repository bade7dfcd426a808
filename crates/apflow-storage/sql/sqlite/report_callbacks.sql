-- How callbacks go on. Whoever lost one changes nothing.
UPDATE af_callbacks
SET position = v.value ->> 2,
    attempts = v.value ->> 3,
    delivered = delivered + (v.value ->> 4),
    given_up = given_up + (v.value ->> 5),
    note = coalesce(v.value ->> 6, note),
    state = v.value ->> 7,
    holder = CASE WHEN v.value ->> 8 THEN holder END,
    free_at = v.value ->> 9,
    touched_at = $2
FROM json_each($1) AS v
WHERE seq = v.value ->> 0 AND token = v.value ->> 1 AND state = 'active'
RETURNING seq
