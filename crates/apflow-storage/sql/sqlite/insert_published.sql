-- Keeps an event for those who look back.
INSERT INTO af_published (id, topic, key, payload, user_id, at) VALUES ($1, $2, $3, $4, $5, $6)
