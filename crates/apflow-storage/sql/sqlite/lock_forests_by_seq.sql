-- The same as lock_forests, where the submissions are known.
SELECT seq, live, open FROM af_forests WHERE seq IN (SELECT value FROM json_each($1))
