-- Values that an update sets by hand, and what a change of the definition means for scheduling.
UPDATE af_work
SET output = CASE WHEN $2::boolean THEN $3::text ELSE output END,
    output_parts = CASE WHEN $2::boolean THEN 0 ELSE output_parts END,
    error = CASE WHEN $4::boolean THEN $5::text ELSE error END,
    progress = coalesce($6, progress),
    priority = $7,
    join_any = $8,
    max_attempts = $9,
    updated_at = $10
WHERE seq = $1
