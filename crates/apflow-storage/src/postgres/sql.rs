//! The statements of PostgreSQL, each from its file. Those that are always run together are sent
//! together, for each round trip counts: reads as one script of prepared statements, each of which sees
//! what others have committed by then; writes as one statement.

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../sql/postgres/", $name, ".sql"))
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
    TAKEN_TASKS = "taken_tasks";
    TAKEN_TREES = "taken_trees";
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
    LOCK_FLOW = "lock_flow";
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

/// Statements that are prepared under their name on every writing connection, to be run in scripts.
pub(super) const SCRIPTED: &[(&str, &str)] = &[
    ("lock_forests", file!("lock_forests")),
    ("load_trees", file!("load_trees")),
    ("load_edges", file!("load_edges")),
    ("load_settling", file!("load_settling")),
    ("ready", file!("ready")),
    ("next_wake", file!("next_wake")),
    ("load_needs", file!("load_needs")),
    ("load_claimed", file!("load_claimed")),
    ("lock_forests_by_seq", file!("lock_forests_by_seq")),
    ("load_forest_trees", file!("load_forest_trees")),
    ("load_forest", file!("load_forest")),
    ("make_channels", file!("make_channels")),
    ("load_channels", file!("load_channels")),
    ("clock", CLOCK),
];

/// Writes what moved: `$1` to `$20` tasks, `$21` the moment, `$22` to `$26` events, `$27` to `$36`
/// trees, `$37` to `$39` submissions.
pub(super) const SAVE: &str = concat!(
    "WITH work AS (", // tidy: sql because it frames the files' contents
    file!("save_work"),
    "), trees AS (",
    file!("save_trees"),
    "), forests AS (",
    file!("save_forests"),
    ")\n",
    file!("append_events"),
);

/// The same where only tasks moved.
pub(super) const SAVE_WORK_AND_EVENTS: &str =
    concat!("WITH work AS (", file!("save_work"), ")\n", file!("append_events")); // tidy: sql because only the files' contents are joined

/// Adds submissions: `$1` to `$3` submissions, `$4` to `$13` trees, `$14` to `$33` tasks, `$34` the
/// moment.
pub(super) const INSERT: &str = concat!(
    "WITH forests AS (", // tidy: sql because it frames the files' contents
    file!("insert_forests"),
    "), trees AS (",
    file!("insert_trees"),
    "), tasks AS (",
    file!("insert_tasks"),
    ")\n",
    file!("insert_work"),
);

/// Which files each joined statement is made of, for the test that looks for forgotten ones.
#[cfg(test)]
pub(super) const JOINED: &[(&str, &str)] = &[
    ("save_work save_trees save_forests append_events", SAVE),
    ("save_work append_events", SAVE_WORK_AND_EVENTS),
    ("insert_forests insert_trees insert_tasks insert_work", INSERT),
];

/// Below which number of an event nothing can be added any more: below every number that an open
/// transaction has announced (see `append_events.sql`). It has to be asked before the events are
/// read, in a statement of its own, and looks at the counter before it looks for announcements.
pub(super) const EVENTS_BOUND: &str = "SELECT s.last_value + s.is_called::integer, w.low FROM af_event_seq s CROSS JOIN LATERAL (SELECT min(((l.classid::bigint - 1627389952) << 32) + l.objid::bigint) AS low FROM pg_locks l WHERE s.last_value IS NOT NULL AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid::bigint BETWEEN 1627389952 AND 1644167167 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS w"; // tidy: sql because SQLite has one writer and needs no bound

/// The server's clock, not the start of the transaction.
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"; // tidy: sql because SQLite has no clock

/// Holds the lock that says that a worker lives, as long as the connection does.
pub(super) const WORKER_LIVES: &str = "SELECT pg_advisory_lock_shared(hashtextextended($1, 0))"; // tidy: sql because a SQLite file belongs to one process

/// Workers that hold tasks and whose lock nobody has. The lock is given back with the statement.
pub(super) const DEAD_WORKERS: &str = "SELECT w.worker FROM (SELECT DISTINCT worker FROM af_work WHERE wake_at IS NOT NULL AND state = 'running' AND worker <> ALL ($1::text[]) OFFSET 0) AS w WHERE pg_try_advisory_xact_lock(hashtextextended(w.worker, 0))"; // tidy: sql because a SQLite file belongs to one process

/// The same for those who deliver callbacks.
pub(super) const DEAD_HOLDERS: &str = "SELECT w.holder FROM (SELECT DISTINCT holder FROM af_callbacks WHERE state = 'active' AND holder <> ALL ($1::text[]) OFFSET 0) AS w WHERE pg_try_advisory_xact_lock(hashtextextended(w.holder, 0))"; // tidy: sql because a SQLite file belongs to one process

/// Holds a topic until the transaction ends.
pub(super) const HOLD_TOPIC: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('topic:' || $1, 0))"; // tidy: sql because SQLite has one writer

/// Tells whoever listens.
pub(super) const NOTIFY: &str = "SELECT pg_notify('apflow', $1)"; // tidy: sql because a SQLite file belongs to one process

/// Which connection this is, so that it does not listen to itself.
pub(super) const BACKEND: &str = "SELECT pg_backend_pid()"; // tidy: sql because a SQLite file belongs to one process

/// What holds on this connection.
pub(super) const SETTINGS: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('synchronous_commit'), current_setting('fsync'), to_regclass('_sqlx_migrations') IS NOT NULL"; // tidy: sql because it reads settings back

/// Migrations that were applied.
pub(super) const MIGRATIONS: &str =
    "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version"; // tidy: sql because the table belongs to the migrator
