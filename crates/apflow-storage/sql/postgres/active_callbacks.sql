-- The trees that callbacks tell of; one may come twice.
SELECT tree FROM af_callbacks WHERE state = 'active' ORDER BY touched_at LIMIT $1
