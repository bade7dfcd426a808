-- Who wants to be told of a run at an address, and how far that has come.
CREATE TABLE af_callbacks (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL,                 -- one wish may concern several trees
    tree BIGINT NOT NULL,
    target TEXT NOT NULL,             -- address and headers; no secret can be read in it
    timeout BIGINT NOT NULL,         -- microseconds one delivery may take
    max_retries BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'finished', 'stopped')),
    position BIGINT NOT NULL,        -- events up to here were told or given up
    attempts BIGINT NOT NULL DEFAULT 0, -- tries of the next one that were in vain
    delivered BIGINT NOT NULL DEFAULT 0,
    given_up BIGINT NOT NULL DEFAULT 0,
    note TEXT,                        -- what went wrong last
    token BIGINT NOT NULL DEFAULT 0,
    holder TEXT,                      -- who delivers
    free_at BIGINT,                  -- end of the lease or of the delay
    touched_at BIGINT NOT NULL
) WITH (fillfactor = 70);

-- claim_callbacks.sql, active_callbacks.sql, next_callback.sql, held_callbacks.sql
CREATE INDEX af_callbacks_active ON af_callbacks (touched_at) WHERE state = 'active';
-- callbacks_of.sql, delete_callbacks.sql
CREATE INDEX af_callbacks_tree ON af_callbacks (tree);
