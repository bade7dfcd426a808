-- Attempts that ended without a result, and tasks that failed for good.
CREATE TABLE af_attempts (
    task BIGINT NOT NULL,
    token BIGINT NOT NULL,           -- of the lease; grows with every claim of the task
    run BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    cycle BIGINT NOT NULL,
    worker TEXT NOT NULL,
    began BIGINT,
    ended BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    kind TEXT,                        -- sort of failure
    cause TEXT,
    retry_at BIGINT,
    PRIMARY KEY (task, token)
);

-- A task has at most one; it goes when the task is started again, set back or removed.
CREATE TABLE af_dead_letters (
    task BIGINT PRIMARY KEY,
    tree BIGINT NOT NULL,
    user_id TEXT,
    executor TEXT,
    reason TEXT NOT NULL CHECK (reason IN ('attempts', 'undecodable', 'signature')),
    kind TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    run BIGINT NOT NULL,
    at BIGINT NOT NULL
);

-- list_letters.sql
CREATE INDEX af_dead_letters_at ON af_dead_letters (at, task);
-- trim_letters.sql
CREATE INDEX af_dead_letters_owner ON af_dead_letters (user_id, at, task);
