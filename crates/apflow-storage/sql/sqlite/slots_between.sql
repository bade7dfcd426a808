-- Slots of one task from one moment on and before another that fired or wait.
SELECT slot FROM af_slots WHERE task = $1 AND slot >= $2 AND slot < $3 ORDER BY slot
