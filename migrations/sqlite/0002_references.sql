-- Links to tasks, archived tasks, and keys that are forgotten after a while.

-- The task a link answers for.
ALTER TABLE af_tasks ADD COLUMN original INTEGER;
-- 1: a link or an archived task, which no run takes along.
ALTER TABLE af_tasks ADD COLUMN fixed INTEGER NOT NULL DEFAULT 0;

-- linked_tasks.sql, and whether others link to a task
CREATE INDEX af_tasks_original ON af_tasks (original) WHERE original IS NOT NULL;

-- Which submission links to tasks of which other one: that one stays as long as it does.
CREATE TABLE af_references (
    original INTEGER NOT NULL,        -- the submission that is linked to
    forest INTEGER NOT NULL,          -- the submission that has the links
    PRIMARY KEY (original, forest)
) STRICT, WITHOUT ROWID;

-- linked_forests.sql, delete_references.sql
CREATE INDEX af_references_forest ON af_references (forest);

-- forget_keys.sql
CREATE INDEX af_idempotency_created ON af_idempotency (created_at);
