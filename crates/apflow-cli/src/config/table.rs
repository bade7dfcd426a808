//! The table of keys: everything that can be configured, and every name the Python versions had for it.

use super::key::{Field, Key, Kind, Retired, Standing};

/// What only counts once the part of apflow that heeds it is there. One line each, so that it is one
/// line to change.
const FOREGROUND: Standing = Standing::Unused("the scheduler stays in the foreground");
const MODELS: Standing = Standing::Unused("no executor calls a language model yet");
const EMAIL: Standing = Standing::Unused("no executor sends e-mail yet");

const ALGORITHMS: &[&str] =
    &["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA"];

/// A static API token, of which only the hash is known.
const TOKEN: &[Field] = &[
    field("name", Kind::Text, "What it is called in lists and logs.").required(),
    field("sha256", Kind::Text, "The SHA-256 of the token, in hexadecimal.").required(),
    field("user_id", Kind::Text, "Whose tasks it sees."),
    field("admin", Kind::Flag, "It sees everybody's tasks."),
    field("read_only", Kind::Flag, "It changes nothing."),
    field("expires_at", Kind::Text, "When it ends, like `2027-01-31T12:00:00Z`."),
];

/// A hook that is a command or a webhook.
const HOOK: &[Field] = &[
    field("on", Kind::Text, "When it is called: `pre`, `post` and so on.").required(),
    field("kind", Kind::Word(&["command", "webhook"]), "What it is.").required(),
    field("command", Kind::List, "The program and its arguments."),
    field("url", Kind::Address, "Where the webhook goes."),
    field("timeout", Kind::Seconds, "How long it may take."),
    field("on_error", Kind::Word(&["open", "closed"]), "Whether the task goes on if it fails."),
];

/// A limit that everybody shares.
const SHARED: &[Field] = &[
    field("key", Kind::Text, "What tasks have in common, as in their `limits`.").required(),
    field("max", Kind::Whole(1, 1_000_000), "How many of them run at the same time."),
    field("rate", Kind::Whole(1, 1_000_000), "How many of them begin in each `per`."),
    field("per", Kind::Text, "The span, like `1m`; a second if nothing is said."),
    field("burst", Kind::Whole(1, 1_000_000), "How many may begin at once after a pause."),
];

/// What a model costs.
const PRICE: &[Field] = &[
    field("model", Kind::Text, "Its name, or how its name begins.").required(),
    field("input", Kind::Factor, "Dollars for a million tokens that go in.").required(),
    field("output", Kind::Factor, "Dollars for a million tokens that come out.").required(),
];

/// What happens near a limit.
const POLICY: &[Field] = &[
    field("name", Kind::Text, "What budgets and tasks call it by.").required(),
    field(
        "action",
        Kind::Word(&["block", "downgrade", "notify", "continue", "ask"]),
        "What happens.",
    )
    .required(),
    field(
        "threshold",
        Kind::Factor,
        "From which used share on, above 0 and at most 1; 1 if unsaid.",
    ),
    field("chain", Kind::List, "Models for `downgrade`, the dearest first."),
];

/// Every key, by section.
pub(crate) const KEYS: &[Key] = &[
    // --- storage
    // The order of these variables is decided (ruling 33), so the newest name comes last here.
    Key::new("storage.url", Kind::Address, "The database: `sqlite:FILE` or `postgres://…`.")
        .default("sqlite:.apflow/apflow.db")
        .variables(&[
            "APFLOW_DATABASE_URL",
            "DATABASE_URL",
            "APFLOW_STORAGE_URL",
            "APFLOW_STORAGE_CONNECTION_STRING",
        ])
        .old(&["storage.connection_string"])
        .flag("--db"),
    Key::new(
        "storage.durability",
        Kind::Word(&["strict", "relaxed"]),
        "When a write counts as done: when it survives a power cut, or a crash of the process.",
    )
    .default("strict")
    .variables(&["APFLOW_STORAGE_DURABILITY"])
    .flag("--durability"),
    // --- server
    Key::new("server.host", Kind::Text, "The address `apflow serve` listens on.")
        .default("127.0.0.1")
        .variables(&["APFLOW_SERVER_HOST", "APFLOW_API_HOST", "API_HOST"])
        .flag("--host"),
    Key::new("server.port", Kind::Whole(0, 65_535), "The port it listens on; 0 takes any.")
        .default("8000")
        .variables(&["APFLOW_SERVER_PORT", "APFLOW_API_PORT", "API_PORT"])
        .flag("--port"),
    Key::new(
        "server.grace",
        Kind::Seconds,
        "How long running tasks and requests may go on after SIGTERM, in seconds.",
    )
    .default("10")
    .variables(&["APFLOW_SERVER_GRACE"])
    .flag("--grace"),
    Key::new("server.execute_wait", Kind::Seconds, "How long `tasks.execute` waits for a run.")
        .default("300")
        .variables(&["APFLOW_SERVER_EXECUTE_WAIT"]),
    Key::new("server.request_timeout", Kind::Seconds, "How long any other request may take.")
        .default("30")
        .variables(&["APFLOW_SERVER_REQUEST_TIMEOUT"]),
    Key::new("server.max_connections", Kind::Whole(1, 1_000_000), "Connections at the same time.")
        .default("1024")
        .variables(&["APFLOW_SERVER_MAX_CONNECTIONS"]),
    Key::new("server.max_body_bytes", Kind::Whole(1024, 1 << 30), "The largest request body.")
        .default("1048576")
        .variables(&["APFLOW_SERVER_MAX_BODY_BYTES"]),
    Key::new(
        "server.hosts",
        Kind::List,
        "Names the server answers to; on a loopback address besides the local ones.",
    )
    .variables(&["APFLOW_SERVER_HOSTS"]),
    Key::new("server.origins", Kind::List, "Origins besides its own whose pages may call it.")
        .variables(&["APFLOW_SERVER_ORIGINS"]),
    Key::new(
        "server.cors_origins",
        Kind::List,
        "The same, under the name of the Python versions; both lists count.",
    )
    .variables(&["APFLOW_SERVER_CORS_ORIGINS", "APFLOW_CORS_ORIGINS"]),
    Key::new("server.base_url", Kind::Address, "The address by which others reach the server.")
        .variables(&["APFLOW_SERVER_BASE_URL", "APFLOW_BASE_URL"]),
    Key::new("server.docs", Kind::Flag, "Whether the server shows its documents.")
        .default("true")
        .variables(&["APFLOW_SERVER_DOCS", "APFLOW_ENABLE_DOCS"]),
    Key::new("server.system_routes", Kind::Flag, "Whether `/system` is served.")
        .default("true")
        .variables(&["APFLOW_SERVER_SYSTEM_ROUTES", "APFLOW_ENABLE_SYSTEM_ROUTES"]),
    Key::new(
        "server.rate",
        Kind::Factor,
        "Requests a second that one caller may make; 0 sets no limit.",
    )
    .default("0")
    .variables(&["APFLOW_SERVER_RATE"]),
    Key::new(
        "server.rate_burst",
        Kind::Whole(1, 1_000_000),
        "Requests it may make at once after a pause.",
    )
    .default("50")
    .variables(&["APFLOW_SERVER_RATE_BURST"]),
    // --- engine
    Key::new("engine.max_parallel", Kind::Whole(1, 65_536), "Tasks that run at the same time.")
        .default("256")
        .variables(&["APFLOW_ENGINE_MAX_PARALLEL", "APFLOW_MAX_PARALLEL_TASKS"])
        .flag("--parallel"),
    Key::new(
        "engine.lease",
        Kind::Seconds,
        "How long a worker may hold a task without a sign of life, in seconds.",
    )
    .default("30")
    .variables(&["APFLOW_ENGINE_LEASE", "APFLOW_LEASE_DURATION"]),
    Key::new(
        "engine.poll_interval",
        Kind::Seconds,
        "How often an idle worker looks by itself, should every signal be lost, in seconds.",
    )
    .default("30")
    .variables(&["APFLOW_ENGINE_POLL_INTERVAL", "APFLOW_POLL_INTERVAL"]),
    Key::new(
        "engine.stop_grace",
        Kind::Seconds,
        "How long a task may go on after it was told to stop, in seconds.",
    )
    .default("5")
    .variables(&["APFLOW_ENGINE_STOP_GRACE"]),
    Key::new(
        "engine.attempt_timeout",
        Kind::Seconds,
        "How long an attempt may take where its task does not say, in seconds.",
    )
    .variables(&["APFLOW_ENGINE_ATTEMPT_TIMEOUT"]),
    Key::new(
        "engine.max_retry_delay",
        Kind::Seconds,
        "The longest delay before another attempt, in seconds.",
    )
    .default("300")
    .variables(&["APFLOW_ENGINE_MAX_RETRY_DELAY"]),
    Key::new(
        "engine.max_result_bytes",
        Kind::Whole(1024, 1 << 30),
        "The largest result of a task.",
    )
    .default("67108864")
    .variables(&["APFLOW_ENGINE_MAX_RESULT_BYTES"]),
    Key::new("engine.fairness", Kind::Flag, "Owners take turns, by `user_id`.")
        .default("false")
        .variables(&["APFLOW_ENGINE_FAIRNESS"]),
    Key::new(
        "engine.dead_letters",
        Kind::Flag,
        "Whether a letter is kept of every task that failed for good.",
    )
    .default("true")
    .variables(&["APFLOW_ENGINE_DEAD_LETTERS"]),
    // --- breaker
    Key::new("breaker.executors", Kind::List, "Executors that get a rest when they keep failing.")
        .variables(&["APFLOW_BREAKER_EXECUTORS"]),
    Key::new("breaker.hosts", Kind::Flag, "Whether hosts that keep failing get a rest.")
        .default("false")
        .variables(&["APFLOW_BREAKER_HOSTS"]),
    Key::new("breaker.threshold", Kind::Whole(1, 1000), "Failures in a row that open a breaker.")
        .default("5")
        .variables(&["APFLOW_BREAKER_THRESHOLD"]),
    Key::new(
        "breaker.reset",
        Kind::Seconds,
        "How long a breaker stays open before something is tried, in seconds.",
    )
    .default("60")
    .variables(&["APFLOW_BREAKER_RESET"]),
    Key::new("breaker.half_open_max", Kind::Whole(1, 10), "Attempts that may try at once then.")
        .default("1")
        .variables(&["APFLOW_BREAKER_HALF_OPEN_MAX"]),
    // --- limits
    Key::new("limits.tasks", Kind::Whole(1, 10_000_000), "Tasks in one submission.")
        .default("100000")
        .variables(&["APFLOW_LIMITS_TASKS"]),
    Key::new(
        "limits.depth",
        Kind::Whole(1, 1000),
        "Levels of tasks under a root, itself included.",
    )
    .default("100")
    .variables(&["APFLOW_LIMITS_DEPTH", "APFLOW_MAX_DEPTH"]),
    Key::new("limits.dependencies", Kind::Whole(1, 10_000_000), "Dependencies of one task.")
        .default("10000")
        .variables(&["APFLOW_LIMITS_DEPENDENCIES"]),
    Key::new(
        "limits.shared",
        Kind::Tables(SHARED),
        "Limits by key that hold for everybody's tasks; stored when the database is opened.",
    )
    .variables(&["APFLOW_LIMITS_SHARED"]),
    // --- budgets
    Key::new(
        "budgets.estimate",
        Kind::Whole(1, 1_000_000_000),
        "Tokens an attempt is thought to need where nobody says.",
    )
    .default("4096")
    .variables(&["APFLOW_BUDGETS_ESTIMATE"]),
    Key::new(
        "budgets.executors",
        Kind::List,
        "Executors whose tasks count against budgets although their authors say nothing.",
    )
    .variables(&["APFLOW_BUDGETS_EXECUTORS"]),
    Key::new(
        "budgets.default_policy",
        Kind::Text,
        "The policy of budgets and tasks that name none; without it the limit blocks.",
    )
    .variables(&["APFLOW_BUDGETS_DEFAULT_POLICY"]),
    Key::new("budgets.prices", Kind::Tables(PRICE), "What models cost.")
        .variables(&["APFLOW_BUDGETS_PRICES"]),
    Key::new("budgets.policies", Kind::Tables(POLICY), "What happens near the limit of a budget.")
        .variables(&["APFLOW_BUDGETS_POLICIES"]),
    // --- executors
    Key::new(
        "executors.extensions",
        Kind::List,
        "Only executors of these families may run; names that match nothing allow nothing.",
    )
    .variables(&["APFLOW_EXECUTORS_EXTENSIONS", "APFLOW_EXTENSIONS"])
    .grants()
    .reloads(),
    Key::new(
        "executors.extension_ids",
        Kind::List,
        "Only these executors may run, besides those of the families.",
    )
    .variables(&["APFLOW_EXECUTORS_EXTENSION_IDS", "APFLOW_EXTENSIONS_IDS"])
    .flag("--allow")
    .grants()
    .reloads(),
    Key::new("executors.allow_command", Kind::List, "Programs that tasks may run.")
        .variables(&["APFLOW_EXECUTORS_ALLOW_COMMAND", "APFLOW_STDIO_COMMAND_WHITELIST"])
        .switched_by("APFLOW_STDIO_ALLOW_COMMAND")
        .flag("--allow-command")
        .grants(),
    Key::new(
        "executors.allow_dir",
        Kind::Paths,
        "Directories in which commands may work, besides the current one.",
    )
    .variables(&["APFLOW_EXECUTORS_ALLOW_DIR"])
    .flag("--allow-dir")
    .grants(),
    Key::new(
        "executors.allow_host",
        Kind::List,
        "Private hosts, addresses and networks that tasks may call.",
    )
    .variables(&["APFLOW_EXECUTORS_ALLOW_HOST"])
    .flag("--allow-host")
    .grants(),
    // --- auth
    Key::new(
        "auth.jwt_secret",
        Kind::Text,
        "The key that signs tokens of callers (HS256 and kin).",
    )
    .variables(&["APFLOW_AUTH_JWT_SECRET", "APFLOW_JWT_SECRET", "APFLOW_API_JWT_SECRET"])
    .old(&["jwt_secret", "api.jwt_secret"])
    .secret(),
    Key::new("auth.jwt_algorithm", Kind::Word(ALGORITHMS), "How those tokens are signed.")
        .default("HS256")
        .variables(&["APFLOW_AUTH_JWT_ALGORITHM", "APFLOW_JWT_ALGORITHM"])
        .old(&["jwt_algorithm"]),
    Key::new(
        "auth.jwt_public_key_file",
        Kind::Path,
        "The public key in PEM that checks them, where the algorithm has two keys.",
    )
    .variables(&["APFLOW_AUTH_JWT_PUBLIC_KEY_FILE", "APFLOW_JWT_PUBLIC_KEY_FILE"]),
    Key::new("auth.issuer", Kind::Text, "Who must have issued them.")
        .variables(&["APFLOW_AUTH_ISSUER", "APFLOW_JWT_ISSUER"]),
    Key::new("auth.audience", Kind::Text, "Whom they must be made for.")
        .variables(&["APFLOW_AUTH_AUDIENCE", "APFLOW_JWT_AUDIENCE"]),
    Key::new("auth.tokens", Kind::Tables(TOKEN), "API tokens by their hash.")
        .variables(&["APFLOW_AUTH_TOKENS"]),
    // --- webhook
    Key::new("webhook.secret", Kind::Text, "Whoever triggers a task by webhook signs with this.")
        .variables(&["APFLOW_WEBHOOK_SECRET"])
        .secret(),
    Key::new("webhook.old_secrets", Kind::List, "Secrets that still count while one is replaced.")
        .variables(&["APFLOW_WEBHOOK_OLD_SECRETS", "APFLOW_WEBHOOK_SECRET_OLD"])
        .secret(),
    Key::new("webhook.allowed_ips", Kind::List, "Addresses and networks that may trigger tasks.")
        .variables(&["APFLOW_WEBHOOK_ALLOWED_IPS"]),
    Key::new(
        "webhook.rate_limit",
        Kind::Whole(0, 1_000_000),
        "Triggers a minute; 0 sets no limit.",
    )
    .default("0")
    .variables(&["APFLOW_WEBHOOK_RATE_LIMIT"]),
    Key::new("webhook.trusted_proxies", Kind::List, "Proxies whose `X-Forwarded-For` is believed.")
        .variables(&["APFLOW_WEBHOOK_TRUSTED_PROXIES", "APFLOW_TRUSTED_PROXIES"]),
    Key::new(
        "webhook.legacy_signature",
        Kind::Flag,
        "Signatures of the Python version, which do not cover the task, are taken, too.",
    )
    .default("false")
    .variables(&["APFLOW_WEBHOOK_LEGACY_SIGNATURE"]),
    // --- feedback
    Key::new(
        "feedback.secret",
        Kind::Text,
        "Links to questions are made with this, at least 16 bytes; without it there is no page for them.",
    )
    .variables(&["APFLOW_FEEDBACK_SECRET"])
    .secret(),
    Key::new(
        "feedback.old_secrets",
        Kind::List,
        "Secrets whose links still count while one is replaced.",
    )
    .variables(&["APFLOW_FEEDBACK_OLD_SECRETS"])
    .secret(),
    // --- scheduler
    Key::new("scheduler.enabled", Kind::Flag, "Whether `apflow serve` also starts what is due.")
        .default("true")
        .variables(&["APFLOW_SCHEDULER_ENABLED"]),
    Key::new(
        "scheduler.max_concurrent",
        Kind::Whole(1, 65_536),
        "Tasks `apflow scheduler start` runs at the same time; without it `engine.max_parallel`.",
    )
    .flag("--max-concurrent")
    .variables(&["APFLOW_SCHEDULER_MAX_CONCURRENT"]),
    Key::new("scheduler.pid_file", Kind::Path, "Where the number of its process is written.")
        .variables(&["APFLOW_SCHEDULER_PID_FILE"])
        .standing(FOREGROUND),
    Key::new("scheduler.log_file", Kind::Path, "Where it logs.")
        .variables(&["APFLOW_SCHEDULER_LOG_FILE"])
        .standing(FOREGROUND),
    // --- api
    Key::new(
        "api.server_url",
        Kind::Address,
        "The server that commands ask in place of a database.",
    )
    .variables(&["APFLOW_API_SERVER_URL"])
    .old(&["api_server_url", "api_server"])
    .flag("--server"),
    Key::new("api.token", Kind::Text, "The token they show to it.")
        .variables(&["APFLOW_API_TOKEN", "APFLOW_ADMIN_AUTH_TOKEN", "APFLOW_API_AUTH_TOKEN"])
        .old(&["admin_auth_token", "api_auth_token", "api_token"])
        .flag("--token-file")
        .secret(),
    Key::new("api.timeout", Kind::Seconds, "How long they wait for an answer, in seconds.")
        .default("30")
        .variables(&["APFLOW_API_TIMEOUT"])
        .old(&["api_timeout"])
        .flag("--timeout"),
    Key::new("api.retry_attempts", Kind::Whole(0, 100), "How often they try again.")
        .default("3")
        .variables(&["APFLOW_API_RETRY_ATTEMPTS"])
        .old(&["api_retry_attempts"]),
    Key::new("api.retry_backoff", Kind::Factor, "Seconds before they do; it doubles each time.")
        .default("1")
        .variables(&["APFLOW_API_RETRY_BACKOFF"])
        .old(&["api_retry_backoff"]),
    Key::new("api.local_only", Kind::Flag, "They ask the database even if a server is configured.")
        .default("false")
        .variables(&["APFLOW_API_LOCAL_ONLY"])
        .flag("--local-only"),
    Key::new(
        "api.fallback_local",
        Kind::Flag,
        "They ask the database if the server does not answer.",
    )
    .default("false")
    .variables(&["APFLOW_API_FALLBACK_LOCAL"]),
    // --- log
    Key::new(
        "log.level",
        Kind::Word(&["off", "error", "warn", "info", "debug", "trace", "warning", "critical"]),
        "How much is logged to standard error.",
    )
    .default("off")
    .variables(&["APFLOW_LOG_LEVEL", "LOG_LEVEL"])
    .old(&["log_level"])
    .flag("-v")
    .reloads(),
    Key::new(
        "log.filter",
        Kind::Text,
        "Exactly what is logged, like `apflow_core=debug,warn`; it goes over `log.level`.",
    )
    .variables(&["APFLOW_LOG", "APFLOW_LOG_FILTER", "RUST_LOG"])
    .reloads(),
    // --- the rest
    Key::new("compat.errors", Kind::Word(&["documented", "v1"]), "The shape of JSON-RPC errors.")
        .default("documented")
        .variables(&["APFLOW_COMPAT_ERRORS"]),
    Key::new(
        "trust.projects",
        Kind::Paths,
        "Directories whose own files may widen what tasks may do.",
    )
    .variables(&["APFLOW_TRUST_PROJECTS"])
    .grants(),
    Key::new("hooks", Kind::Tables(HOOK), "Commands and webhooks called before and after tasks.")
        .grants(),
    Key::new(
        "retention.keep_days",
        Kind::Whole(0, 36_500),
        "Submissions that ended longer ago than so many days are deleted; 0 keeps them all.",
    )
    .default("30")
    .variables(&["APFLOW_RETENTION_KEEP_DAYS"]),
    Key::new("daemon.pid_file", Kind::Path, "Where a daemon writes the number of its process.")
        .variables(&["APFLOW_DAEMON_PID_FILE"]),
    Key::new("daemon.log_file", Kind::Path, "Where a daemon logs.")
        .variables(&["APFLOW_DAEMON_LOG_FILE"]),
    Key::new("demo.sleep_scale", Kind::Factor, "How much slower or faster demo results come.")
        .default("1")
        .variables(&["APFLOW_DEMO_SLEEP_SCALE"]),
    Key::new("llm.provider", Kind::Word(&["openai", "anthropic"]), "Whose model is called.")
        .variables(&["APFLOW_LLM_PROVIDER"])
        .standing(MODELS),
    Key::new("llm.openai_api_key", Kind::Text, "The key for models of OpenAI.")
        .variables(&["APFLOW_LLM_OPENAI_API_KEY", "OPENAI_API_KEY"])
        .secret()
        .standing(MODELS),
    Key::new("llm.openai_model", Kind::Text, "The model of OpenAI.")
        .variables(&["APFLOW_LLM_OPENAI_MODEL", "OPENAI_MODEL"])
        .standing(MODELS),
    Key::new("llm.anthropic_api_key", Kind::Text, "The key for models of Anthropic.")
        .variables(&["APFLOW_LLM_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"])
        .secret()
        .standing(MODELS),
    Key::new("llm.anthropic_model", Kind::Text, "The model of Anthropic.")
        .variables(&["APFLOW_LLM_ANTHROPIC_MODEL", "ANTHROPIC_MODEL"])
        .standing(MODELS),
    Key::new("email.resend_api_key", Kind::Text, "The key for the mail service Resend.")
        .variables(&["APFLOW_EMAIL_RESEND_API_KEY", "RESEND_API_KEY"])
        .secret()
        .standing(EMAIL),
    Key::new("email.smtp_host", Kind::Text, "The mail server.")
        .variables(&["APFLOW_EMAIL_SMTP_HOST", "SMTP_HOST"])
        .standing(EMAIL),
    Key::new("email.smtp_port", Kind::Whole(1, 65_535), "Its port.")
        .default("587")
        .variables(&["APFLOW_EMAIL_SMTP_PORT", "SMTP_PORT"])
        .standing(EMAIL),
    Key::new("email.smtp_username", Kind::Text, "The name to log in with.")
        .variables(&["APFLOW_EMAIL_SMTP_USERNAME", "SMTP_USERNAME"])
        .standing(EMAIL),
    Key::new("email.smtp_password", Kind::Text, "The password to log in with.")
        .variables(&["APFLOW_EMAIL_SMTP_PASSWORD", "SMTP_PASSWORD"])
        .secret()
        .standing(EMAIL),
    Key::new("email.smtp_use_tls", Kind::Flag, "Whether the way to it is encrypted.")
        .default("true")
        .variables(&["APFLOW_EMAIL_SMTP_USE_TLS", "SMTP_USE_TLS"])
        .standing(EMAIL),
    Key::new("email.from", Kind::Text, "The sender of mails that name none.")
        .variables(&["APFLOW_EMAIL_FROM", "FROM_EMAIL"])
        .standing(EMAIL),
];

/// What the sections are about, in the order of the table.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("storage", "Where tasks are stored."),
    ("server", "`apflow serve`."),
    ("engine", "The worker that runs tasks."),
    ("breaker", "What gets a rest when it keeps failing."),
    ("limits", "How much one submission may hold, and what tasks share."),
    ("budgets", "What spending is judged by."),
    ("executors", "What tasks may do; a workflow cannot grant itself anything."),
    ("auth", "Who may call the server."),
    ("webhook", "Who may trigger tasks from outside."),
    ("feedback", "The page on which people answer questions of tasks."),
    ("scheduler", "What starts by itself."),
    ("api", "Commands that ask a server in place of the database."),
    ("log", "What is logged."),
    ("compat", "Shapes of the Python versions."),
    ("trust", "Which projects are trusted."),
    ("hooks", "What is called before and after tasks."),
    ("retention", "How long what has ended stays."),
    ("daemon", "A server in the background."),
    ("demo", "Results without work."),
    ("llm", "Language models."),
    ("email", "Mail."),
];

/// Names of the Python versions that have no setting here.
pub(crate) const RETIRED: &[Retired] = &[
    Retired {
        names: &["APFLOW_TASK_TABLE_NAME"],
        says: "the tables have fixed names; use a database or schema of its own",
    },
    Retired {
        names: &["APFLOW_TASK_MODEL_CLASS"],
        says: "there are no task classes; fields of your own are kept with the task",
    },
    Retired { names: &["APFLOW_API_PROTOCOL"], says: "one server speaks every protocol it has" },
    Retired {
        names: &["APFLOW_CORS_ALLOW_ALL"],
        says: "pages from anywhere are never let in; name them in `server.origins`",
    },
    Retired {
        names: &["APFLOW_MAX_SESSIONS", "APFLOW_SESSION_TIMEOUT"],
        says: "there is no pool of sessions; `server.max_connections` and `engine.max_parallel` \
               are the limits",
    },
    Retired {
        names: &["APFLOW_TASK_LINK_KEEP_FIELDS"],
        says: "which fields a link keeps of its own is settled",
    },
    Retired {
        names: &["APFLOW_REST_ALLOW_PRIVATE_URLS"],
        says: "all private addresses at once are never allowed; name them in \
               `executors.allow_host` or with --allow-host",
    },
    Retired {
        names: &["APFLOW_DOCKER_ALLOW_SENSITIVE_MOUNTS"],
        says: "there is no executor for Docker yet",
    },
    Retired {
        names: &["APFLOW_CLUSTER_ENABLED", "APFLOW_NODE_ROLE"],
        says: "processes that share a PostgreSQL database are a cluster, and all are alike",
    },
    Retired { names: &["APFLOW_NODE_ID"], says: "each process names itself" },
    Retired {
        names: &["APFLOW_LEADER_LEASE", "APFLOW_LEADER_RENEW"],
        says: "no process leads the others; `engine.lease` is the time a task is held",
    },
    Retired {
        names: &[
            "APFLOW_LEASE_CLEANUP_INTERVAL",
            "APFLOW_HEARTBEAT_INTERVAL",
            "APFLOW_NODE_STALE_THRESHOLD",
            "APFLOW_NODE_DEAD_THRESHOLD",
        ],
        says: "it follows from `engine.lease`",
    },
    Retired {
        names: &["use_local_db"],
        says: "commands ask the database unless `api.server_url` is set; `api.local_only` keeps \
               them there",
    },
    Retired {
        names: &[
            "storage.dialect",
            "storage.path",
            "APFLOW_STORAGE_DIALECT",
            "APFLOW_STORAGE_PATH",
        ],
        says: "SQLite files of the Python version cannot be opened; name a database in \
               `storage.url`",
    },
    Retired {
        names: &[
            "durability.max_attempts",
            "durability.backoff_strategy",
            "durability.circuit_breaker_threshold",
            "APFLOW_DURABILITY_MAX_ATTEMPTS",
            "APFLOW_DURABILITY_BACKOFF_STRATEGY",
            "APFLOW_DURABILITY_CIRCUIT_BREAKER_THRESHOLD",
        ],
        says: "retries are said by each task; there are no defaults for all of them",
    },
    Retired {
        names: &[
            "governance.default_policy",
            "governance.downgrade_chain",
            "APFLOW_GOVERNANCE_DEFAULT_POLICY",
            "APFLOW_GOVERNANCE_DOWNGRADE_CHAIN",
        ],
        says: "there are no budgets and policies yet",
    },
];

/// Variables that say where the configuration is, and not what is in it.
pub(crate) const PLACES: &[(&str, &str)] = &[
    ("APFLOW_CONFIG", "The file to read over all others; also `--config`."),
    ("APFLOW_CONFIG_DIR", "The directory of the user's file, in place of `~/.config/apflow`."),
    ("APFLOW_PROFILE", "The profile to take; also `--profile`."),
];

const fn field(name: &'static str, kind: Kind, sentence: &'static str) -> Field {
    Field { name, kind, required: false, sentence }
}

impl Field {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The variables of the two Python versions, from their manuals and sources.
    const OF_PYTHON: &str = "\
        DATABASE_URL APFLOW_DATABASE_URL APFLOW_TASK_TABLE_NAME APFLOW_TASK_MODEL_CLASS \
        APFLOW_API_PROTOCOL APFLOW_API_HOST API_HOST APFLOW_API_PORT API_PORT APFLOW_BASE_URL \
        APFLOW_JWT_SECRET APFLOW_JWT_ALGORITHM APFLOW_ADMIN_AUTH_TOKEN APFLOW_ENABLE_SYSTEM_ROUTES \
        APFLOW_ENABLE_DOCS APFLOW_CORS_ORIGINS APFLOW_CORS_ALLOW_ALL APFLOW_LOG_LEVEL LOG_LEVEL \
        APFLOW_MAX_SESSIONS APFLOW_SESSION_TIMEOUT APFLOW_TASK_LINK_KEEP_FIELDS APFLOW_MAX_DEPTH \
        APFLOW_EXTENSIONS APFLOW_EXTENSIONS_IDS APFLOW_LLM_PROVIDER OPENAI_API_KEY \
        ANTHROPIC_API_KEY OPENAI_MODEL ANTHROPIC_MODEL APFLOW_STDIO_ALLOW_COMMAND \
        APFLOW_STDIO_COMMAND_WHITELIST APFLOW_REST_ALLOW_PRIVATE_URLS \
        APFLOW_DOCKER_ALLOW_SENSITIVE_MOUNTS RESEND_API_KEY SMTP_HOST SMTP_PORT SMTP_USERNAME \
        SMTP_PASSWORD SMTP_USE_TLS FROM_EMAIL APFLOW_WEBHOOK_SECRET APFLOW_WEBHOOK_ALLOWED_IPS \
        APFLOW_WEBHOOK_RATE_LIMIT APFLOW_DAEMON_PID_FILE APFLOW_DAEMON_LOG_FILE \
        APFLOW_SCHEDULER_PID_FILE APFLOW_SCHEDULER_LOG_FILE APFLOW_CONFIG_DIR \
        APFLOW_DEMO_SLEEP_SCALE APFLOW_CLUSTER_ENABLED APFLOW_NODE_ID APFLOW_NODE_ROLE \
        APFLOW_LEADER_LEASE APFLOW_LEADER_RENEW APFLOW_LEASE_DURATION APFLOW_LEASE_CLEANUP_INTERVAL \
        APFLOW_POLL_INTERVAL APFLOW_MAX_PARALLEL_TASKS APFLOW_HEARTBEAT_INTERVAL \
        APFLOW_NODE_STALE_THRESHOLD APFLOW_NODE_DEAD_THRESHOLD APFLOW_CONFIG APFLOW_API_SERVER_URL \
        APFLOW_API_JWT_SECRET APFLOW_API_TIMEOUT APFLOW_API_RETRY_ATTEMPTS APFLOW_API_RETRY_BACKOFF \
        APFLOW_STORAGE_DIALECT APFLOW_STORAGE_PATH APFLOW_STORAGE_CONNECTION_STRING \
        APFLOW_GOVERNANCE_DEFAULT_POLICY APFLOW_GOVERNANCE_DOWNGRADE_CHAIN \
        APFLOW_DURABILITY_MAX_ATTEMPTS APFLOW_DURABILITY_BACKOFF_STRATEGY \
        APFLOW_DURABILITY_CIRCUIT_BREAKER_THRESHOLD";

    /// The keys of their files.
    const KEYS_OF_PYTHON: &str = "\
        api_server_url admin_auth_token api_auth_token use_local_db api_timeout api_retry_attempts \
        api_retry_backoff jwt_secret jwt_algorithm log_level api-server api-token api.server_url \
        api.jwt_secret api.timeout api.retry_attempts api.retry_backoff storage.dialect \
        storage.path storage.connection_string governance.default_policy \
        governance.downgrade_chain durability.max_attempts durability.backoff_strategy \
        durability.circuit_breaker_threshold";

    #[test]
    fn every_variable_and_key_of_the_python_versions_is_in_the_table() {
        for name in OF_PYTHON.split_whitespace() {
            let place = PLACES.iter().any(|(known, _)| *known == name);
            let known = Key::of_variable(name).is_some() || Retired::named(name).is_some();
            assert!(known || place, "{name}");
        }
        for name in KEYS_OF_PYTHON.split_whitespace() {
            assert!(Key::meant(name).is_some() || Retired::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn no_name_means_two_things() {
        let mut names = BTreeSet::new();
        for key in KEYS {
            let own = [key.name].into_iter().chain(key.old.iter().copied());
            for name in own.chain(key.variables.iter().copied()).chain(key.switch) {
                assert!(names.insert(name), "{name} twice");
            }
        }
        for name in RETIRED.iter().flat_map(|it| it.names).chain(PLACES.iter().map(|(it, _)| it)) {
            assert!(names.insert(name), "{name} twice");
        }
    }

    #[test]
    fn every_key_has_a_sentence_a_section_a_variable_and_a_default_of_its_kind() {
        for key in KEYS {
            assert!(key.sentence.ends_with('.'), "{}", key.name);
            let (section, _) = key.parts();
            assert!(SECTIONS.iter().any(|(name, _)| *name == section), "{}", key.name);
            let own = format!("APFLOW_{}", key.name.replace('.', "_").to_uppercase());
            let has_own = key.variables.contains(&own.as_str());
            assert!(has_own || key.name == "hooks", "{} has no {own}", key.name);
            if let Some(typed) = key.default {
                assert!(key.kind.parse(typed).is_ok(), "{}: {typed}", key.name);
            }
        }
        for (section, _) in SECTIONS {
            assert!(KEYS.iter().any(|key| key.parts().0 == *section), "{section} is empty");
        }
    }
}
