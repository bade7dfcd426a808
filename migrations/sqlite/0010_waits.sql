-- What parked tasks wait for, events for those who look back, and trees that are paused or waited for.
CREATE TABLE af_waits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task INTEGER NOT NULL,
    tree INTEGER NOT NULL,
    forest INTEGER NOT NULL,
    run INTEGER NOT NULL,             -- of the tree
    key TEXT NOT NULL,                -- which wait of its task in that run
    kind TEXT NOT NULL,
    topic TEXT,                       -- of an event, or the tree that is waited for
    detail TEXT NOT NULL,             -- JSON
    on_timeout TEXT NOT NULL,         -- JSON
    escalated_to TEXT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'expired', 'cancelled')),
    open INTEGER NOT NULL,            -- its task is parked for it
    answer TEXT,                      -- JSON
    answered_by TEXT,
    asked_at INTEGER NOT NULL,
    until INTEGER,
    answered_at INTEGER,
    token_hash TEXT,                  -- of a token that may answer without an account
    UNIQUE (task, run, key)           -- load_answers.sql, delete_waits.sql
) STRICT;

-- waits_on_topic.sql, waits_on_trees.sql
CREATE INDEX af_waits_topic ON af_waits (topic, kind) WHERE open AND topic IS NOT NULL;
-- list_open_waits.sql
CREATE INDEX af_waits_open ON af_waits (seq) WHERE open;

CREATE TABLE af_published (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT,                         -- the same key on a topic is the same event
    payload TEXT NOT NULL,            -- JSON
    user_id TEXT,                     -- whose tasks it may wake; null is everybody's
    at INTEGER NOT NULL
) STRICT;

-- look_back.sql
CREATE INDEX af_published_topic ON af_published (topic, seq);
-- find_published.sql
CREATE INDEX af_published_key ON af_published (topic, key) WHERE key IS NOT NULL;

ALTER TABLE af_trees ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE af_trees ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0;
