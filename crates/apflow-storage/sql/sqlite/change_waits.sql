-- How waits go on or end.
UPDATE af_waits
SET state = v.value ->> 'state',
    open = v.value ->> 'open',
    on_timeout = coalesce(v.value ->> 'on_timeout', on_timeout),
    escalated_to = coalesce(v.value ->> 'escalated_to', escalated_to),
    until = CASE WHEN v.value ->> 'open' THEN v.value ->> 'until' ELSE until END,
    answer = v.value ->> 'answer',
    answered_by = v.value ->> 'answered_by',
    answered_at = CASE WHEN v.value ->> 'open' THEN NULL ELSE $2 END
FROM json_each($1) AS v
WHERE id = v.value ->> 'id'
