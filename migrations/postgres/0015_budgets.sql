-- What may be spent, what is put aside for attempts that run, and what was spent.
CREATE TABLE af_budgets (
    scope TEXT NOT NULL CHECK (scope IN ('task', 'tree', 'user', 'global')),
    scope_id TEXT NOT NULL,           -- empty for 'global'
    unit TEXT NOT NULL CHECK (unit IN ('tokens', 'usd')),
    period TEXT NOT NULL CHECK (period IN ('total', 'day', 'month')),
    most BIGINT NOT NULL CHECK (most >= 0), -- tokens, or millionths of a dollar
    policy TEXT,
    used BIGINT NOT NULL,            -- since `since`; what is put aside is not in it
    since BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (scope, scope_id, unit, period)
);

-- Whoever decides about spending holds this row; see lock_budgets.sql.
CREATE TABLE af_budget_gate (gate BIGINT PRIMARY KEY CHECK (gate = 1));
INSERT INTO af_budget_gate VALUES (1);

-- One row an attempt that runs and spends; it goes in the transaction in which the lease ends.
CREATE TABLE af_reservations (
    task BIGINT PRIMARY KEY,
    task_id TEXT NOT NULL,
    tree_id TEXT NOT NULL,
    user_id TEXT,
    tokens BIGINT NOT NULL,
    micros BIGINT NOT NULL
);

-- What attempts reported. It outlives the tasks, for reports.
CREATE TABLE af_usage (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    task_id TEXT NOT NULL,
    tree_id TEXT NOT NULL,
    user_id TEXT,
    executor TEXT,
    model TEXT,
    attempt BIGINT NOT NULL,
    input BIGINT NOT NULL,
    output BIGINT NOT NULL,
    micros BIGINT NOT NULL
);

-- usage.sql, forget_usage.sql
CREATE INDEX af_usage_at ON af_usage (at);
-- usage.sql, used_since.sql
CREATE INDEX af_usage_task ON af_usage (task_id);
CREATE INDEX af_usage_tree ON af_usage (tree_id);
CREATE INDEX af_usage_user ON af_usage (user_id, at);
-- free_held.sql
CREATE INDEX af_work_held_by ON af_work ((held::jsonb ->> 'key'), priority, turn, seq)
    WHERE state = 'ready' AND held IS NOT NULL;
