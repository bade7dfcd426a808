-- Fired slots of these tasks but for the newest `$2` of each.
DELETE FROM af_slots
WHERE (task, slot) IN (
    SELECT n.task, n.slot
    FROM (
        SELECT k.task, k.slot, row_number() OVER (PARTITION BY k.task ORDER BY k.slot DESC) AS place
        FROM af_slots k
        WHERE k.task IN (SELECT value FROM json_each($1)) AND k.fired_at IS NOT NULL
    ) AS n
    WHERE n.place > $2
)
