-- Parked tasks that an event on this topic may wake.
SELECT w.id, w.task, w.forest, w.state, w.detail, t.user_id
FROM af_waits w
JOIN af_tasks t ON t.seq = w.task
WHERE w.open AND w.topic = $1 AND w.kind = 'event'
ORDER BY w.seq
