-- When time alone will set a callback free.
SELECT min(free_at) FROM af_callbacks WHERE state = 'active' AND free_at IS NOT NULL
