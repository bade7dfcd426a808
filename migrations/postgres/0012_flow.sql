-- Who may begin: shared limits, paces, breakers, and whose turn it is.

CREATE TABLE af_limits (
    key text NOT NULL PRIMARY KEY,
    max bigint CHECK (max > 0),
    rate text                         -- JSON: {limit, per, burst}
);

CREATE TABLE af_rates (
    key text NOT NULL PRIMARY KEY,
    even_at bigint NOT NULL           -- when nothing is used up any more
);
-- forget_paces.sql
CREATE INDEX af_rates_even ON af_rates (even_at);

CREATE TABLE af_breakers (
    key text NOT NULL PRIMARY KEY,
    circuit text NOT NULL,            -- JSON: {state, failures or until}
    policy text NOT NULL,             -- JSON: {threshold, reset, half_open_max}
    touched_at bigint NOT NULL
);
-- forget_breakers.sql
CREATE INDEX af_breakers_touched ON af_breakers (touched_at);

CREATE TABLE af_turns (
    owner text NOT NULL PRIMARY KEY,
    next bigint NOT NULL              -- the turn of the owner's next task
);
-- newest_turn.sql, forget_turns.sql
CREATE INDEX af_turns_next ON af_turns (next);

-- load_line.sql
CREATE INDEX af_work_line
    ON af_work ((held::jsonb ->> 'by'), (held::jsonb ->> 'key'), priority, turn, seq)
    WHERE state = 'ready' AND held IS NOT NULL;
-- running_facets.sql
CREATE INDEX af_work_running_facets ON af_work (seq) WHERE state = 'running' AND facets IS NOT NULL;
