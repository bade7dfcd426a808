-- What running attempts put aside, and how submissions stood when somebody wanted it remembered.

-- The newest checkpoint of a task; it goes when the task completes or a new run begins.
CREATE TABLE af_checkpoints (
    task bigint PRIMARY KEY,
    number bigint NOT NULL,           -- how many the task has written in this run
    attempt bigint NOT NULL,
    step text,
    value text NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE af_snapshots (
    forest bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    tree bigint NOT NULL,             -- of the task it was asked for
    note text NOT NULL,               -- who asked, when and why, as JSON
    tasks bigint NOT NULL,
    bytes bigint NOT NULL,
    body text NOT NULL,               -- the whole submission, as JSON
    at bigint NOT NULL,
    PRIMARY KEY (forest, name)
);
