-- The last run of a tree that was a demonstration: its executors are not called.
ALTER TABLE af_trees ADD COLUMN demo_run BIGINT;
