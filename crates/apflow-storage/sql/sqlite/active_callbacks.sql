-- The trees that callbacks tell of.
SELECT DISTINCT tree FROM af_callbacks WHERE state = 'active' LIMIT $1
