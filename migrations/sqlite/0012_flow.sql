-- Who may begin: shared limits, paces, breakers, and whose turn it is.

CREATE TABLE af_limits (
    key TEXT NOT NULL PRIMARY KEY,
    max INTEGER CHECK (max > 0),
    rate TEXT                         -- JSON: {limit, per, burst}
) STRICT;

CREATE TABLE af_rates (
    key TEXT NOT NULL PRIMARY KEY,
    even_at INTEGER NOT NULL          -- when nothing is used up any more
) STRICT;
-- forget_paces.sql
CREATE INDEX af_rates_even ON af_rates (even_at);

CREATE TABLE af_breakers (
    key TEXT NOT NULL PRIMARY KEY,
    circuit TEXT NOT NULL,            -- JSON: {state, failures or until}
    policy TEXT NOT NULL,             -- JSON: {threshold, reset, half_open_max}
    touched_at INTEGER NOT NULL
) STRICT;
-- forget_breakers.sql
CREATE INDEX af_breakers_touched ON af_breakers (touched_at);

CREATE TABLE af_turns (
    owner TEXT NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL             -- the turn of the owner's next task
) STRICT;
-- newest_turn.sql, forget_turns.sql
CREATE INDEX af_turns_next ON af_turns (next);

-- load_line.sql
CREATE INDEX af_work_line ON af_work (held ->> 'by', held ->> 'key', priority, turn, seq)
    WHERE state = 'ready' AND held IS NOT NULL;
-- running_facets.sql
CREATE INDEX af_work_running_facets ON af_work (seq) WHERE state = 'running' AND facets IS NOT NULL;
