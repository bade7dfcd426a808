-- What the tasks of a run share: values and locks. They go with their submission.
CREATE TABLE af_channels (
    forest BIGINT PRIMARY KEY REFERENCES af_forests (seq) ON DELETE CASCADE,
    pass BIGINT NOT NULL DEFAULT 0,     -- how often the submission began again from nothing
    revision BIGINT NOT NULL DEFAULT 0, -- the newest version; never goes back
    keys BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL DEFAULT 0        -- the moment of the newest change
) WITH (fillfactor = 70);

CREATE TABLE af_channel (
    forest BIGINT NOT NULL REFERENCES af_channels (forest) ON DELETE CASCADE,
    space TEXT COLLATE "C" NOT NULL,    -- empty for the run itself
    slot TEXT COLLATE "C" NOT NULL,     -- v and a key, or l and the name of a lock
    value TEXT NOT NULL,
    version BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (forest, space, slot)   -- load_cells.sql, read_cells.sql, list_cells.sql
) WITH (fillfactor = 70);

-- delete_expired_cells.sql
CREATE INDEX af_channel_expiring ON af_channel (forest, expires_at) WHERE expires_at IS NOT NULL;
