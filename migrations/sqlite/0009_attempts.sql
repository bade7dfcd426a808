-- Attempts that ended without a result, and tasks that failed for good.
CREATE TABLE af_attempts (
    task INTEGER NOT NULL,
    token INTEGER NOT NULL,           -- of the lease; grows with every claim of the task
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    cycle INTEGER NOT NULL,
    worker TEXT NOT NULL,
    began INTEGER,
    ended INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    kind TEXT,                        -- sort of failure
    cause TEXT,
    retry_at INTEGER,
    PRIMARY KEY (task, token)
) STRICT, WITHOUT ROWID;

-- A task has at most one; it goes when the task is started again, set back or removed.
CREATE TABLE af_dead_letters (
    task INTEGER PRIMARY KEY,
    tree INTEGER NOT NULL,
    user_id TEXT,
    executor TEXT,
    reason TEXT NOT NULL CHECK (reason IN ('attempts', 'undecodable', 'signature')),
    kind TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- list_letters.sql
CREATE INDEX af_dead_letters_at ON af_dead_letters (at, task);
-- trim_letters.sql
CREATE INDEX af_dead_letters_owner ON af_dead_letters (user_id, at, task);
