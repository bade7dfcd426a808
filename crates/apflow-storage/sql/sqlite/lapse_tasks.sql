-- Tasks on which time has to act; of those that are due at one moment the oldest first.
SELECT seq FROM af_work WHERE wake_at <= $1 ORDER BY wake_at, seq LIMIT $2
