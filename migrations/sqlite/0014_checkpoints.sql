-- What running attempts put aside, and how submissions stood when somebody wanted it remembered.

-- The newest checkpoint of a task; it goes when the task completes or a new run begins.
CREATE TABLE af_checkpoints (
    task INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,          -- how many the task has written in this run
    attempt INTEGER NOT NULL,
    step TEXT,
    value TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE af_snapshots (
    forest INTEGER NOT NULL,
    name TEXT NOT NULL,
    tree INTEGER NOT NULL,            -- of the task it was asked for
    note TEXT NOT NULL,               -- who asked, when and why, as JSON
    tasks INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body TEXT NOT NULL,               -- the whole submission, as JSON
    at INTEGER NOT NULL,
    PRIMARY KEY (forest, name)
) STRICT;
