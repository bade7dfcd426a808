-- How waits go on or end.
UPDATE af_waits AS w
SET state = v.state,
    open = v.open,
    on_timeout = coalesce(v.on_timeout, w.on_timeout),
    escalated_to = coalesce(v.escalated_to, w.escalated_to),
    until = CASE WHEN v.open THEN v.until ELSE w.until END,
    answer = v.answer,
    answered_by = v.answered_by,
    answered_at = CASE WHEN v.open THEN NULL ELSE $2::bigint END
FROM json_to_recordset($1::json) AS v (id text, state text, open boolean, on_timeout text, escalated_to text,
    until bigint, answer text, answered_by text)
WHERE w.id = v.id
