//! The statements of SQLite, each from its file. Those that are always run together are sent together:
//! a round trip to the connection's thread costs more than a small statement.

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../sql/sqlite/", $name, ".sql"))
    };
}

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) const $name: &str = file!($file);)*

        /// Every statement that is sent alone, with its name, for the test that prepares them.
        #[cfg(test)]
        pub(super) const ALONE: &[(&str, &str)] = &[$(($file, $name),)*];
    };
}

statements! {
    LOCK_FORESTS_BY_SEQ = "lock_forests_by_seq";
    LOAD_FOREST = "load_forest";
    LOAD_FOREST_TREES = "load_forest_trees";
    INSERT_ATTEMPTS = "insert_attempts";
    TRIM_ATTEMPTS = "trim_attempts";
    ATTEMPTS_OF = "attempts_of";
    DELETE_ATTEMPTS = "delete_attempts";
    INSERT_LETTERS = "insert_letters";
    DELETE_LETTERS = "delete_letters";
    DROP_LETTERS = "drop_letters";
    LIST_LETTERS = "list_letters";
    COUNT_LETTERS = "count_letters";
    TRIM_LETTERS = "trim_letters";
    INSERT_PARTS = "insert_parts";
    LOAD_PARTS = "load_parts";
    DELETE_PARTS = "delete_parts";
    FIND_TASKS = "find_tasks";
    LIVE_FORESTS = "live_forests";
    LOAD_HOT = "load_hot";
    TREE_IDS = "tree_ids";
    FIND_KEY = "find_key";
    INSERT_KEY = "insert_key";
    NEXT_SEQ = "next_seq";
    RENEW = "renew";
    TOKENS = "tokens";
    LAPSE_TASKS = "lapse_tasks";
    LAPSE_TREES = "lapse_trees";
    RUNNING = "running";
    LOAD_DEFINITION = "load_definition";
    SAVE_DEFINITION = "save_definition";
    SAVE_DEPENDENTS = "save_dependents";
    SAVE_VALUES = "save_values";
    DELETE_TASKS = "delete_tasks";
    DELETE_WORK = "delete_work";
    DELETE_TREES = "delete_trees";
    DELETE_EVENTS = "delete_events";
    DELETE_FORESTS = "delete_forests";
    SHRINK_TREE = "shrink_tree";
    CHILDLESS = "childless";
    PRUNE_TREES = "prune_trees";
    INSERT_SET_ASIDE = "insert_set_aside";
    SET_ASIDE = "set_aside";
    RECORD = "record";
    SUBTREE = "subtree";
    LIST_TASKS = "list_tasks";
    IDS_IN_RANGE = "ids_in_range";
    CHILDREN = "children";
    COUNT_TASKS = "count_tasks";
    NEEDS_OF = "needs_of";
    RUN_OF_TASK = "run_of_task";
    RUN_OF_TREE = "run_of_tree";
    TROUBLED = "troubled";
    EVENTS = "events";
    EVENTS_OF_TREE = "events_of_tree";
    DUE_SCHEDULES = "due_schedules";
    WAITING_SCHEDULES = "waiting_schedules";
    LOAD_SCHEDULES = "load_schedules";
    READ_SCHEDULES = "read_schedules";
    NEXT_SCHEDULE = "next_schedule";
    TAKEN_SLOTS = "taken_slots";
    SLOTS_BETWEEN = "slots_between";
    OLDEST_SLOT = "oldest_slot";
    SAVE_SCHEDULES = "save_schedules";
    SAVE_SLOTS = "save_slots";
    DROP_WAITING = "drop_waiting";
    FORGET_SLOTS = "forget_slots";
    DELETE_SCHEDULES = "delete_schedules";
    DELETE_SLOTS = "delete_slots";
    LIST_SCHEDULES = "list_schedules";
    HAS_TOKENS = "has_tokens";
    FIND_TOKEN = "find_token";
    LIST_TOKENS = "list_tokens";
    COUNT_TOKENS = "count_tokens";
    INSERT_TOKEN = "insert_token";
    REVOKE_TOKEN = "revoke_token";
    FORGET_TOKEN = "forget_token";
    USE_TOKEN = "use_token";
    FORGET_SEEN = "forget_seen";
    SPAN_OF_SEEN = "span_of_seen";
    INSERT_SEEN = "insert_seen";
    LINKED_FORESTS = "linked_forests";
    LOAD_SOURCES = "load_sources";
    SAVE_LINKS = "save_links";
    INSERT_REFERENCES = "insert_references";
    ARCHIVE_TASKS = "archive_tasks";
    LINKED_TASKS = "linked_tasks";
    UNFINISHED_ORIGINALS = "unfinished_originals";
    RUNNING_READERS = "running_readers";
    MARK_DEMO = "mark_demo";
    KEEP_CHECKPOINTS = "keep_checkpoints";
    LOAD_CHECKPOINTS = "load_checkpoints";
    NAME_CHECKPOINTS = "name_checkpoints";
    DELETE_CHECKPOINTS = "delete_checkpoints";
    LOAD_PORTABLE = "load_portable";
    LOAD_PORTABLE_TREES = "load_portable_trees";
    NEXT_FORESTS = "next_forests";
    SAVE_SNAPSHOT = "save_snapshot";
    TRIM_SNAPSHOTS = "trim_snapshots";
    LIST_SNAPSHOTS = "list_snapshots";
    LOAD_SNAPSHOT = "load_snapshot";
    DELETE_SNAPSHOT = "delete_snapshot";
    DELETE_SNAPSHOTS = "delete_snapshots";
    ADOPT_TIMES = "adopt_times";
    FILE_SIZE = "file_size";
    TABLE_NAMES = "table_names";
    IS_REFERENCED = "is_referenced";
    DELETE_REFERENCES = "delete_references";
    FORGET_KEYS = "forget_keys";
    LIST_TASKS_OF_USER = "list_tasks_of_user";
    COUNT_TASKS_OF_USER = "count_tasks_of_user";
    TOLD = "told";
    TOLD_OF_TREE = "told_of_tree";
    LAST_EVENT = "last_event";
    INSERT_CALLBACKS = "insert_callbacks";
    REPORT_CALLBACKS = "report_callbacks";
    CLAIM_CALLBACKS = "claim_callbacks";
    ACTIVE_CALLBACKS = "active_callbacks";
    NEXT_CALLBACK = "next_callback";
    HELD_CALLBACKS = "held_callbacks";
    FREE_CALLBACKS = "free_callbacks";
    CALLBACKS_OF = "callbacks_of";
    DELETE_CALLBACKS = "delete_callbacks";
    ADD_NEEDS = "add_needs";
    GROW_TREES = "grow_trees";
    BECOME_PARENTS = "become_parents";
    GATHERED = "gathered";
    WORK_OF = "work_of";
    NAMED = "named";
    SAVE_NEEDS = "save_needs";
    RUNNING_FACETS = "running_facets";
    LOAD_LINE = "load_line";
    LOAD_LIMITS = "load_limits";
    LIST_LIMITS = "list_limits";
    COUNT_LIMITS = "count_limits";
    SAVE_LIMIT = "save_limit";
    DELETE_LIMIT = "delete_limit";
    LOAD_PACES = "load_paces";
    SAVE_PACES = "save_paces";
    FORGET_PACES = "forget_paces";
    LOAD_BREAKERS = "load_breakers";
    LIST_BREAKERS = "list_breakers";
    FIND_BREAKER = "find_breaker";
    SAVE_BREAKERS = "save_breakers";
    DELETE_BREAKERS = "delete_breakers";
    FORGET_BREAKERS = "forget_breakers";
    LOWEST_TURN = "lowest_turn";
    NEWEST_TURN = "newest_turn";
    FORGET_TURNS = "forget_turns";
    TAKE_TURNS = "take_turns";
    MAKE_CHANNELS = "make_channels";
    LOAD_CHANNELS = "load_channels";
    LOAD_CELLS = "load_cells";
    SAVE_CHANNELS = "save_channels";
    SAVE_CELLS = "save_cells";
    DELETE_CELLS = "delete_cells";
    DELETE_EXPIRED_CELLS = "delete_expired_cells";
    EMPTY_CHANNELS = "empty_channels";
    DELETE_ALL_CELLS = "delete_all_cells";
    FIND_CHANNEL = "find_channel";
    READ_CELLS = "read_cells";
    LIST_CELLS = "list_cells";
    INSERT_WAITS = "insert_waits";
    CHANGE_WAITS = "change_waits";
    FIND_WAIT = "find_wait";
    LOAD_ANSWERS = "load_answers";
    WAITS_ON_TOPIC = "waits_on_topic";
    WAITS_ON_TREES = "waits_on_trees";
    FIND_PUBLISHED = "find_published";
    INSERT_PUBLISHED = "insert_published";
    TRIM_PUBLISHED = "trim_published";
    LOOK_BACK = "look_back";
    FIND_TREES = "find_trees";
    FORESTS_OF = "forests_of";
    MARK_TREES = "mark_trees";
    DELETE_WAITS = "delete_waits";
    READ_WAIT = "read_wait";
    LIST_OPEN_WAITS = "list_open_waits";
    LIST_WAITS = "list_waits";
}

/// Every statement that is only sent joined to others, for the test that prepares them.
#[cfg(test)]
pub(super) const JOINED: &[(&str, &str)] = &[
    ("lock_forests", file!("lock_forests")),
    ("taken_tasks", file!("taken_tasks")),
    ("taken_trees", file!("taken_trees")),
    ("load_trees", file!("load_trees")),
    ("load_edges", file!("load_edges")),
    ("load_settling", file!("load_settling")),
    ("ready", file!("ready")),
    ("next_wake", file!("next_wake")),
    ("load_claimed", file!("load_claimed")),
    ("load_needs", file!("load_needs")),
    ("save_work", file!("save_work")),
    ("save_trees", file!("save_trees")),
    ("save_forests", file!("save_forests")),
    ("append_events", file!("append_events")),
    ("insert_forests", file!("insert_forests")),
    ("insert_trees", file!("insert_trees")),
    ("insert_tasks", file!("insert_tasks")),
    ("insert_work", file!("insert_work")),
];

/// Begins the transaction and reads what settling and claiming needs: `$1` tasks, `$2` how many more.
pub(super) const OPEN: &str = concat!(
    "BEGIN IMMEDIATE;", // tidy: sql because it frames the files' contents
    file!("lock_forests"),
    ";",
    file!("load_trees"),
    ";",
    file!("load_edges"),
    ";",
    file!("load_settling"),
    ";",
    file!("ready"),
    ";",
    file!("next_wake"),
);

/// The same where the transaction is open already.
pub(super) const OPEN_AGAIN: &str = concat!(
    file!("lock_forests"),
    ";",
    file!("load_trees"),
    ";",
    file!("load_edges"),
    ";",
    file!("load_settling"),
    ";",
    file!("ready"),
    ";",
    file!("next_wake"),
);

/// Writes what moved: `$1` tasks, `$2` trees, `$3` submissions, `$4` events, `$5` the moment.
pub(super) const SAVE: &str = concat!(
    file!("save_work"),
    ";",
    file!("save_trees"),
    ";",
    file!("save_forests"),
    ";",
    file!("append_events"),
);

/// A whole transaction that only writes what moved; most are.
pub(super) const BEGIN_SAVE_COMMIT: &str = concat!(
    "BEGIN IMMEDIATE;", // tidy: sql because it frames the files' contents
    file!("save_work"),
    ";",
    file!("save_trees"),
    ";",
    file!("save_forests"),
    ";",
    file!("append_events"),
    ";COMMIT",
);

/// The same where only tasks moved.
pub(super) const BEGIN_SAVE_WORK_COMMIT: &str = concat!(
    "BEGIN IMMEDIATE;", // tidy: sql because it frames the files' contents
    file!("save_work"),
    ";",
    file!("append_events"),
    ";COMMIT",
);

/// The end of a transaction that is open.
pub(super) const SAVE_COMMIT: &str = concat!(
    file!("save_work"),
    ";",
    file!("save_trees"),
    ";",
    file!("save_forests"),
    ";",
    file!("append_events"),
    ";COMMIT",
);

/// Adds submissions: `$6` submissions, `$7` trees, `$8` tasks, `$9` where they stand; `$5` the moment.
pub(super) const INSERT: &str = concat!(
    file!("insert_forests"),
    ";",
    file!("insert_trees"),
    ";",
    file!("insert_tasks"),
    ";",
    file!("insert_work"),
);

/// The end of a transaction that only adds submissions and says that they began.
pub(super) const INSERT_COMMIT: &str = concat!(
    file!("insert_forests"),
    ";",
    file!("insert_trees"),
    ";",
    file!("insert_tasks"),
    ";",
    file!("insert_work"),
    ";",
    file!("append_events"),
    ";COMMIT",
);

/// Begins the transaction that adds submissions: `$1` task ids, `$2` tree ids.
pub(super) const TAKEN: &str = concat!(file!("taken_tasks"), ";", file!("taken_trees"));

/// What a worker has to know: needs, then definitions, of the tasks in `$1`.
pub(super) const CLAIMED: &str = concat!(file!("load_needs"), ";", file!("load_claimed"));
