-- How callbacks go on. Whoever lost one changes nothing.
UPDATE af_callbacks AS c
SET position = v.position,
    attempts = v.attempts,
    delivered = c.delivered + v.delivered,
    given_up = c.given_up + v.given_up,
    note = coalesce(v.note, c.note),
    state = v.state,
    holder = CASE WHEN v.held THEN c.holder END,
    free_at = v.free_at,
    touched_at = $11::bigint
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::text[], $8::text[], $9::boolean[], $10::bigint[])
    AS v (seq, token, position, attempts, delivered, given_up, note, state, held, free_at)
WHERE c.seq = v.seq AND c.token = v.token AND c.state = 'active'
RETURNING c.seq
