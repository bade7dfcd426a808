-- Fired slots of these tasks but for the newest `$2` of each.
DELETE FROM af_slots
USING unnest($1::bigint[]) AS v (task)
CROSS JOIN LATERAL (
    SELECT k.slot FROM af_slots k
    WHERE k.task = v.task AND k.fired_at IS NOT NULL
    ORDER BY k.slot DESC LIMIT 1 OFFSET $2 - 1
) AS kept
WHERE af_slots.task = v.task AND af_slots.slot < kept.slot AND af_slots.fired_at IS NOT NULL
