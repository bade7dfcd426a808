-- What the tasks of a run share: values and locks. They go with their submission.
CREATE TABLE af_channels (
    forest INTEGER PRIMARY KEY REFERENCES af_forests (seq) ON DELETE CASCADE,
    pass INTEGER NOT NULL DEFAULT 0,     -- how often the submission began again from nothing
    revision INTEGER NOT NULL DEFAULT 0, -- the newest version; never goes back
    keys INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL DEFAULT 0        -- the moment of the newest change
) STRICT;

CREATE TABLE af_channel (
    forest INTEGER NOT NULL REFERENCES af_channels (forest) ON DELETE CASCADE,
    space TEXT NOT NULL,                 -- empty for the run itself
    slot TEXT NOT NULL,                  -- v and a key, or l and the name of a lock
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (forest, space, slot)    -- load_cells.sql, read_cells.sql, list_cells.sql
) STRICT;

-- delete_expired_cells.sql
CREATE INDEX af_channel_expiring ON af_channel (forest, expires_at) WHERE expires_at IS NOT NULL;
