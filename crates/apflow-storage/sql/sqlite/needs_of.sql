-- What one task needs, and where each of those stands.
SELECT n.id, e.value ->> 1, w.state
FROM af_tasks t
JOIN json_each(t.needs) e
JOIN af_tasks n ON n.seq = e.value ->> 0
JOIN af_work w ON w.seq = n.seq
WHERE t.seq = $1 AND t.needs IS NOT NULL
ORDER BY e.key
