//! SQLite: one writing connection behind the committer, a pool that only reads, one process a file.

mod access;
mod callbacks;
mod channels;
mod decode;
mod demo;
mod derive;
mod effects;
mod encode;
mod flow;
mod history;
mod hot;
mod keep;
mod lock;
mod reads;
#[cfg(test)]
mod room;
mod rows;
mod schedules;
mod snapshots;
mod sql;
#[cfg(test)]
mod statements;
mod waits;

use std::{path::Path, sync::Arc, time::Duration};

use apflow_core::{
    store::StoreError,
    time::{Clock, Timestamp},
};
use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _,
    SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use self::{
    hot::Hot,
    lock::FileLock,
    reads::SqliteReads,
    rows::{Pending, SqliteRows},
};
use crate::{
    Durability, OpenOptions,
    committer::{self, Limits, Queue, Transact},
    error::from_sqlx,
    migration,
    rows::Rows,
    store::Database,
};

/// How many signals a slow listener may lag behind before it has to look for itself.
const SIGNALS: usize = 1024;

/// Which process writes the file at `path`, as far as is known; none if nobody does.
pub(crate) fn writer_of(path: &str) -> Option<String> {
    FileLock::holder(path)
}

/// Opens the file at `path`, or a database in memory for `:memory:`.
pub(crate) async fn open(
    path: &str,
    options: OpenOptions,
) -> Result<Database<SqliteReads>, StoreError> {
    let in_memory = path == ":memory:";
    let exists = in_memory || Path::new(path).exists();
    if options.read_only && !exists {
        return Err(StoreError::Address {
            what: format!("there is no database at {path}"),
            hint: "run a workflow first, or name another file with --db".to_owned(),
        });
    }
    let lock =
        if in_memory || options.read_only { None } else { Some(FileLock::take(path).await?) };
    let connect = connect_options(path, in_memory, &options);
    let mut writer = SqliteConnection::connect_with(&connect)
        .await
        .map_err(|error| from_sqlx(&format!("opening {path}"), error))?;
    check(&mut writer, path, in_memory, &options).await?;
    migrate(&mut writer, &options).await?;

    let writer = Arc::new(Mutex::new(writer));
    let reads = if in_memory {
        SqliteReads::shared(Arc::clone(&writer))
    } else {
        let readers = if options.readers == 0 { 4 } else { options.readers };
        let pool = SqlitePoolOptions::new()
            .max_connections(readers)
            .min_connections(0)
            .acquire_timeout(patience(&options))
            .idle_timeout(Duration::from_mins(1))
            .connect_lazy_with(connect.read_only(true).create_if_missing(false));
        SqliteReads::pool(pool)
    };
    let queue = Arc::new(Queue::new(options.queue));
    let signals = committer::Signals::new(SIGNALS);
    let clock = options.clock.clone().unwrap_or_else(|| Arc::new(MachineClock));
    let hot = Hot::default();
    let own_clock = Some(Arc::clone(&clock));
    let (letters, fair) = (!options.no_dead_letters, options.fair);
    let writer = Writer { connection: writer, clock, hot, letters, fair, _lock: lock };
    // SQLite has one writer; nothing can be in its way.
    let limits = Limits { conflicts: 0 };
    tokio::spawn(committer::run(Arc::clone(&queue), writer, signals.clone(), limits));
    Ok(Database {
        reads,
        queue,
        signals,
        workers: std::sync::Mutex::new(Vec::new()),
        read_only: options.read_only,
        clock: own_clock,
    })
}

fn patience(options: &OpenOptions) -> Duration {
    if options.patience.is_zero() { Duration::from_secs(10) } else { options.patience }
}

fn connect_options(path: &str, in_memory: bool, options: &OpenOptions) -> SqliteConnectOptions {
    let connect = SqliteConnectOptions::new()
        .busy_timeout(patience(options))
        .foreign_keys(true)
        .statement_cache_capacity(256)
        .row_buffer_size(4096)
        .disable_statement_logging()
        .pragma("temp_store", "MEMORY")
        .synchronous(match options.durability {
            Durability::Strict => SqliteSynchronous::Full,
            Durability::Relaxed => SqliteSynchronous::Normal,
        });
    if in_memory {
        return connect.in_memory(true).shared_cache(false);
    }
    let connect = connect.filename(path);
    if options.read_only {
        return connect.read_only(true);
    }
    connect.create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
}

/// What was asked for is what holds: a setting that did not take is an error, not a surprise.
async fn check(
    writer: &mut SqliteConnection,
    path: &str,
    in_memory: bool,
    options: &OpenOptions,
) -> Result<(), StoreError> {
    let reading = |error| from_sqlx("reading settings", error);
    let row = sqlx::query("PRAGMA synchronous") // tidy: sql because it reads a setting back
        .fetch_one(&mut *writer)
        .await
        .map_err(reading)?;
    let synchronous: i64 = row.try_get(0).map_err(reading)?;
    let row = sqlx::query("PRAGMA journal_mode") // tidy: sql because it reads a setting back
        .fetch_one(&mut *writer)
        .await
        .map_err(reading)?;
    let journal: String = row.try_get(0).map_err(reading)?;
    let wanted = match options.durability {
        Durability::Strict => 2,
        Durability::Relaxed => 1,
    };
    if !options.read_only && (synchronous != wanted || (!in_memory && journal != "wal")) {
        return Err(StoreError::Unavailable {
            what: format!(
                "{path} does not take the settings that durability needs (synchronous is \
                 {synchronous}, journal is {journal})"
            ),
            source: None,
        });
    }
    Ok(())
}

async fn migrate(writer: &mut SqliteConnection, options: &OpenOptions) -> Result<(), StoreError> {
    let known = migration::list!("sqlite");
    let applied = applied(writer).await?;
    migration::check(&applied, known, options.no_migration || options.read_only)?;
    if options.read_only || options.no_migration || applied.len() == known.len() {
        return Ok(());
    }
    let migrations = known
        .iter()
        .map(|(version, name, text)| {
            let kind = MigrationType::Simple;
            Migration::new(
                *version,
                (*name).into(),
                kind,
                AssertSqlSafe(*text).into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(migrations)
        .run_direct(None, writer, false)
        .await
        .map_err(migration_failed)
}

fn migration_failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Dirty(version) => StoreError::Damaged {
            what: format!("migration {version} was begun and never finished"),
        },
        MigrateError::Execute(error) => from_sqlx("migrating", error),
        MigrateError::ExecuteMigration(error, version) => {
            from_sqlx(&format!("running migration {version}"), error)
        }
        error => StoreError::Unavailable {
            what: format!("migrating: {error}"),
            source: Some(Box::new(error)),
        },
    }
}

async fn applied(writer: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
    let exists = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"; // tidy: sql because the table belongs to the migrator
    let versions = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
    let reading = |error| from_sqlx("reading the list of migrations", error);
    let row = sqlx::query(exists).fetch_one(&mut *writer).await.map_err(reading)?;
    if row.try_get::<i64, _>(0).map_err(reading)? == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(versions).fetch_all(&mut *writer).await.map_err(reading)?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(reading)
}

/// The clock of the machine the file is on; it is the database's clock, for SQLite has none.
struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the database's clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

struct Writer {
    connection: Arc<Mutex<SqliteConnection>>,
    clock: Arc<dyn Clock>,
    hot: Hot,
    /// Tasks that fail for good get a letter.
    letters: bool,
    /// Owners take turns.
    fair: bool,
    /// Held as long as the committer runs.
    _lock: Option<FileLock>,
}

#[async_trait]
impl Transact for Writer {
    async fn begin(&mut self) -> Result<Box<dyn Rows + '_>, StoreError> {
        let now = self.clock.now();
        let connection = self.connection.lock().await;
        let pending = Pending::default();
        let (hot, letters, fair) = (&mut self.hot, self.letters, self.fair);
        Ok(Box::new(SqliteRows { connection, begun: false, now, hot, pending, letters, fair }))
    }
}
