-- Submissions, trees, tasks, the changing part of tasks, and what happened.
-- Times are microseconds since 1970. JSON is text, so that it comes back as it went in.

-- One submission: dependencies never leave it, so it is what a change locks.
CREATE TABLE af_forests (
    seq INTEGER PRIMARY KEY,          -- the root of its first tree
    live INTEGER NOT NULL DEFAULT 0,  -- tasks that can still move by themselves
    open INTEGER NOT NULL DEFAULT 0   -- tasks of running trees that have not ended
) STRICT;

-- live_forests.sql
CREATE INDEX af_forests_live ON af_forests (seq) WHERE live > 0;

CREATE TABLE af_trees (
    seq INTEGER PRIMARY KEY,          -- its root task
    id TEXT NOT NULL UNIQUE,
    forest INTEGER NOT NULL,
    user_id TEXT,
    options TEXT NOT NULL,            -- on_failure, structure_order, timeout
    run INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL,
    open INTEGER NOT NULL DEFAULT 0,  -- tasks of this run that have not ended
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    outcome TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')),
    deadline INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
) STRICT;

-- load_forest.sql
CREATE INDEX af_trees_forest ON af_trees (forest);
-- lapse_trees.sql
CREATE INDEX af_trees_deadline ON af_trees (deadline) WHERE deadline IS NOT NULL;
-- prune_trees.sql
CREATE INDEX af_trees_finished ON af_trees (finished_at) WHERE finished_at IS NOT NULL;

-- What the author said; written once, changed only by an update.
CREATE TABLE af_tasks (
    -- Order of submission; never given twice, or a worker that lost a task could report another one.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tree INTEGER NOT NULL,
    forest INTEGER NOT NULL,
    parent INTEGER,
    has_children INTEGER NOT NULL,
    user_id TEXT,
    executor TEXT,
    needs TEXT,                       -- [[seq, kind], …] in the author's order
    dependents TEXT,                  -- [[seq, kind], …]
    definition TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- load_forest.sql, subtree.sql, delete_tasks.sql
CREATE INDEX af_tasks_forest ON af_tasks (forest);
-- children.sql, subtree.sql
CREATE INDEX af_tasks_parent ON af_tasks (parent) WHERE parent IS NOT NULL;
-- list_tasks.sql, count_tasks.sql by owner
CREATE INDEX af_tasks_user ON af_tasks (user_id, seq) WHERE user_id IS NOT NULL;

-- What the engine knows; every change of state writes here.
CREATE TABLE af_work (
    seq INTEGER PRIMARY KEY,
    tree INTEGER NOT NULL,
    forest INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('created', 'blocked', 'ready', 'retrying', 'running',
        'waiting', 'completed', 'failed', 'skipped', 'cancelled')),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    join_any INTEGER NOT NULL DEFAULT 0,
    token INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER,
    waiting_for INTEGER NOT NULL DEFAULT 0,
    failed_needs INTEGER NOT NULL DEFAULT 0,
    wake_at INTEGER,                  -- end of the lease, of the delay or of the wait
    worker TEXT,                      -- of the last attempt
    detail TEXT,                      -- the rest of the state, as JSON
    error TEXT,
    progress REAL NOT NULL DEFAULT 0,
    resolved TEXT,
    output TEXT,
    output_parts INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    completed_at INTEGER,
    updated_at INTEGER NOT NULL,
    CHECK (state <> 'running' OR (worker IS NOT NULL AND wake_at IS NOT NULL)),
    CHECK (state <> 'failed' OR (error IS NOT NULL AND error <> ''))
) STRICT;

-- claim.sql
CREATE INDEX af_work_ready ON af_work (priority, seq) WHERE state = 'ready';
-- lapse_tasks.sql, next_wake.sql
CREATE INDEX af_work_wake ON af_work (wake_at) WHERE wake_at IS NOT NULL;

-- Results that are too large for a row.
CREATE TABLE af_output_parts (
    task INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE af_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tree INTEGER NOT NULL,
    task INTEGER,
    kind INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL,
    detail TEXT
) STRICT;

-- events.sql of one tree
CREATE INDEX af_events_tree ON af_events (tree, seq);

CREATE TABLE af_idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    trees TEXT NOT NULL,              -- [[seq, tree id, root id], …]
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

-- Rows that could not be read; they are reported and left alone.
CREATE TABLE af_set_aside (
    relation TEXT NOT NULL,
    row TEXT NOT NULL,
    what TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (relation, row)
) STRICT, WITHOUT ROWID;
