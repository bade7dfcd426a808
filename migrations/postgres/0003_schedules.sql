-- Schedules: where each stands, and the slots it fired.
-- What the author said of a schedule is in the definition of its task; here is what changes.

CREATE TABLE af_schedules (
    task BIGINT PRIMARY KEY,
    tree BIGINT NOT NULL,
    forest BIGINT NOT NULL,
    user_id TEXT,                        -- of the task; it never changes
    kind TEXT NOT NULL,                  -- schedule_type
    enabled BIGINT NOT NULL,
    slot BIGINT,                       -- the next one
    due_at BIGINT,                     -- when it fires; null while the schedule is off
    runs BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    waiting BIGINT NOT NULL DEFAULT 0, -- rows of af_slots that have not fired
    last_run_at BIGINT,
    CHECK (due_at IS NULL OR enabled <> 0)
) WITH (fillfactor = 70);

-- due_schedules.sql, next_schedule.sql
CREATE INDEX af_schedules_due ON af_schedules (due_at) WHERE due_at IS NOT NULL;
-- waiting_schedules.sql, next_schedule.sql
CREATE INDEX af_schedules_waiting ON af_schedules (forest) WHERE waiting > 0;
-- list_schedules.sql
CREATE INDEX af_schedules_slot ON af_schedules (slot, task);
-- prune_trees.sql
CREATE INDEX af_schedules_on ON af_schedules (forest) WHERE enabled <> 0;

-- The key is what keeps two schedulers from firing one slot twice.
CREATE TABLE af_slots (
    task BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    fired_at BIGINT,                   -- null while it waits for the run before it to end
    PRIMARY KEY (task, slot)
);

-- due_schedules.sql and the others: the oldest slot that waits
CREATE INDEX af_slots_waiting ON af_slots (task, slot) WHERE fired_at IS NULL;

-- Schedules that were stored before anybody acted on them. Their first slot is found by the first
-- scheduler that sees them: they are due at once, without a slot.
INSERT INTO af_schedules (task, tree, forest, user_id, kind, enabled, due_at)
SELECT seq, tree, forest, user_id, '', 1, 0
FROM af_tasks
WHERE definition LIKE '%"schedule_type":"%';
