-- Who holds which callback.
SELECT seq, holder FROM af_callbacks WHERE state = 'active' AND holder IS NOT NULL
