-- Where the task of a wait is, and how the wait stands.
SELECT id, task, forest, state, detail, NULL FROM af_waits WHERE id = $1
