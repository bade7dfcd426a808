-- When the next schedule is due, and whether any slot waits for a run to end.
SELECT
    (
        SELECT due_at FROM af_schedules
        WHERE due_at IS NOT NULL AND ($1 IS NULL OR user_id = $1)
        ORDER BY due_at LIMIT 1
    ),
    EXISTS (SELECT 1 FROM af_schedules WHERE waiting > 0 AND ($1 IS NULL OR user_id = $1))
