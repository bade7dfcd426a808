-- Submissions, trees, tasks, the changing part of tasks, and what happened.
-- Times are microseconds since 1970. JSON is text, so that it comes back as it went in.

-- Places in the order of submission, and numbers of events.
CREATE SEQUENCE af_seq;
CREATE SEQUENCE af_event_seq;

-- One submission: dependencies never leave it, so it is what a change locks.
CREATE TABLE af_forests (
    seq BIGINT PRIMARY KEY,          -- the root of its first tree
    live BIGINT NOT NULL DEFAULT 0,  -- tasks that can still move by themselves
    open BIGINT NOT NULL DEFAULT 0   -- tasks of running trees that have not ended
) WITH (fillfactor = 70);

CREATE TABLE af_trees (
    seq BIGINT PRIMARY KEY,          -- its root task
    id TEXT NOT NULL UNIQUE,
    forest BIGINT NOT NULL,
    user_id TEXT,
    options TEXT NOT NULL,            -- on_failure, structure_order, timeout
    run BIGINT NOT NULL DEFAULT 0,
    total BIGINT NOT NULL,
    open BIGINT NOT NULL DEFAULT 0,  -- tasks of this run that have not ended
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    outcome TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')),
    deadline BIGINT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
) WITH (fillfactor = 70);

-- load_forest.sql
CREATE INDEX af_trees_forest ON af_trees (forest);
-- lapse_trees.sql
CREATE INDEX af_trees_deadline ON af_trees (deadline) WHERE deadline IS NOT NULL;
-- prune_trees.sql
CREATE INDEX af_trees_finished ON af_trees (finished_at) WHERE finished_at IS NOT NULL;

-- What the author said; written once, changed only by an update.
CREATE TABLE af_tasks (
    seq BIGINT PRIMARY KEY,          -- order of submission
    id TEXT NOT NULL UNIQUE,
    tree BIGINT NOT NULL,
    forest BIGINT NOT NULL,
    parent BIGINT,
    has_children BIGINT NOT NULL,
    user_id TEXT,
    executor TEXT,
    needs TEXT,                       -- [[seq, kind], …] in the author's order
    dependents TEXT,                  -- [[seq, kind], …]
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- load_forest.sql, subtree.sql, delete_tasks.sql
CREATE INDEX af_tasks_forest ON af_tasks (forest);
-- children.sql, subtree.sql
CREATE INDEX af_tasks_parent ON af_tasks (parent) WHERE parent IS NOT NULL;
-- list_tasks.sql, count_tasks.sql by owner
CREATE INDEX af_tasks_user ON af_tasks (user_id, seq) WHERE user_id IS NOT NULL;

-- What the engine knows; every change of state writes here.
CREATE TABLE af_work (
    seq BIGINT PRIMARY KEY,
    tree BIGINT NOT NULL,
    forest BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('created', 'blocked', 'ready', 'retrying', 'running',
        'waiting', 'completed', 'failed', 'skipped', 'cancelled')),
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 3),
    join_any BIGINT NOT NULL DEFAULT 0,
    token BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT,
    waiting_for BIGINT NOT NULL DEFAULT 0,
    failed_needs BIGINT NOT NULL DEFAULT 0,
    wake_at BIGINT,                  -- end of the lease, of the delay or of the wait
    worker TEXT,                      -- of the last attempt
    detail TEXT,                      -- the rest of the state, as JSON
    error TEXT,
    progress DOUBLE PRECISION NOT NULL DEFAULT 0,
    resolved TEXT,
    output TEXT,
    output_parts BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT,
    completed_at BIGINT,
    updated_at BIGINT NOT NULL,
    CHECK (state <> 'running' OR (worker IS NOT NULL AND wake_at IS NOT NULL)),
    CHECK (state <> 'failed' OR (error IS NOT NULL AND error <> ''))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- claim.sql
CREATE INDEX af_work_ready ON af_work (priority, seq) WHERE state = 'ready';
-- lapse_tasks.sql, next_wake.sql
CREATE INDEX af_work_wake ON af_work (wake_at) WHERE wake_at IS NOT NULL;

-- Results that are too large for a row.
CREATE TABLE af_output_parts (
    task BIGINT NOT NULL,
    part BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task, part)
);

-- `seq` comes from af_event_seq in the way that append_events.sql tells, so that a reader never misses
-- an event that commits late.
CREATE TABLE af_events (
    seq BIGINT PRIMARY KEY,
    tree BIGINT NOT NULL,
    task BIGINT,
    kind BIGINT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL,
    detail TEXT
);

-- events.sql of one tree
CREATE INDEX af_events_tree ON af_events (tree, seq);

CREATE TABLE af_idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    trees TEXT NOT NULL,              -- [[seq, tree id, root id], …]
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, key)
);

-- Rows that could not be read; they are reported and left alone.
CREATE TABLE af_set_aside (
    relation TEXT NOT NULL,
    row TEXT NOT NULL,
    what TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (relation, row)
);
