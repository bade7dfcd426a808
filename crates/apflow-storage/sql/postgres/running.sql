-- Who holds which task now.
SELECT seq, worker FROM af_work WHERE wake_at IS NOT NULL AND state = 'running'
