//! Connections: what each of them is told, what is read back, and how the tables come to be.

use std::{fmt::Write as _, str::FromStr as _, time::Duration};

use apflow_core::store::StoreError;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{decode, sql};
use crate::{Durability, OpenOptions, error::from_sqlx, migration};

/// The oldest server that has what the statements use.
const OLDEST_SERVER: i32 = 130_000;

/// How to reach one database.
#[derive(Clone)]
pub(super) struct Server {
    options: PgConnectOptions,
    /// Host and name of the database, for messages. The password is never in it.
    place: String,
    patience: Duration,
    synchronous_commit: &'static str,
    read_only: bool,
}

impl Server {
    pub(super) fn new(url: &str, options: &OpenOptions) -> Result<Self, StoreError> {
        // What the parser says may repeat parts of the address, and a password is in there.
        let connect = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address {
            what: "the PostgreSQL address cannot be read".to_owned(),
            hint: "write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for special \
                   characters in the password"
                .to_owned(),
        })?;
        let host = match connect.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => format!("{}:{}", connect.get_host(), connect.get_port()),
        };
        let database = connect.get_database().unwrap_or_else(|| connect.get_username());
        let place = format!("PostgreSQL at {host}, database {database}");
        let synchronous_commit = match options.durability {
            Durability::Strict => "on",
            Durability::Relaxed => "off",
        };
        let connect = connect.application_name("apflow").options([
            ("synchronous_commit", synchronous_commit),
            ("idle_in_transaction_session_timeout", "10s"),
            // The server notices clients that vanished, and lets go of their locks.
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
            // Every statement is short; compiling one takes longer than running it.
            ("jit", "off"),
        ]);
        let connect = if options.read_only {
            connect.options([("default_transaction_read_only", "on")])
        } else {
            connect
        };
        Ok(Self {
            options: connect,
            place,
            patience: patience(options),
            synchronous_commit,
            read_only: options.read_only,
        })
    }

    /// A connection for transactions, with the scripts prepared.
    pub(super) async fn writer(&self) -> Result<PgConnection, StoreError> {
        let options = self.options.clone().options([
            ("statement_timeout", "60s"),
            ("lock_timeout", "10s"),
            // The statements are written for their indexes. A plan is made once, perhaps while a table
            // is still empty, and has to be right when it is large.
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let mut connection = self.connect(&options).await?;
        self.check(&mut connection).await?;
        let mut script = String::new();
        for (name, text) in sql::SCRIPTED {
            // Writing into a text does not fail.
            let _ = writeln!(script, "PREPARE af_{name} AS {text};");
        }
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut connection)
            .await
            .map_err(|error| self.failed("preparing statements", error))?;
        Ok(connection)
    }

    /// A pool that only reads; it connects when it is first used.
    pub(super) fn readers(&self, count: u32) -> PgPool {
        let options = self.options.clone().options([
            ("statement_timeout", "60s"),
            ("lock_timeout", "10s"),
            ("default_transaction_read_only", "on"),
            // Filters differ from call to call, and so do the plans they need.
            ("plan_cache_mode", "force_custom_plan"),
        ]);
        PgPoolOptions::new()
            .max_connections(count)
            .min_connections(0)
            .acquire_timeout(self.patience)
            .idle_timeout(Duration::from_mins(1))
            .connect_lazy_with(options)
    }

    /// A pool of one, for the connection that lives as long as the store.
    pub(super) fn session(&self) -> PgPool {
        let options = self.options.clone().options([("statement_timeout", "10s")]);
        PgPoolOptions::new()
            .max_connections(1)
            .min_connections(0)
            .acquire_timeout(self.patience)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options)
    }

    /// Brings the tables up to date, or says why they cannot be used.
    pub(super) async fn migrate(&self, options: &OpenOptions) -> Result<(), StoreError> {
        // Another process may be migrating: no timeout while its lock is waited for.
        let mut connection = self.connect(&self.options).await?;
        let has_list = self.check(&mut connection).await?;
        let known = migration::list!("postgres");
        let mut applied = Vec::new();
        if has_list {
            let rows = sqlx::query(sql::MIGRATIONS)
                .fetch_all(&mut connection)
                .await
                .map_err(|error| self.failed("reading the list of migrations", error))?;
            applied = decode::all(&rows, |row| row.try_get::<i64, _>(0))?;
        }
        migration::check(&applied, known, options.no_migration || options.read_only)?;
        if options.read_only || options.no_migration || applied.len() == known.len() {
            close(connection).await;
            return Ok(());
        }
        let migrations = known
            .iter()
            .map(|(version, name, text)| {
                let text = AssertSqlSafe(*text).into_sql_str();
                Migration::new(*version, (*name).into(), MigrationType::Simple, text, false)
            })
            .collect();
        let migrated =
            Migrator::with_migrations(migrations).run_direct(None, &mut connection, false).await;
        close(connection).await;
        migrated.map_err(|error| self.not_migrated(error, known))
    }

    fn not_migrated(&self, error: MigrateError, known: &[(i64, &str, &str)]) -> StoreError {
        match error {
            // A newer apflow migrated between the two looks.
            MigrateError::VersionMissing(found) => StoreError::TooNew {
                found,
                known: known.iter().map(|(version, ..)| *version).max().unwrap_or(0),
            },
            MigrateError::Execute(error) => self.failed("migrating", error),
            MigrateError::ExecuteMigration(error, version) => {
                self.failed(&format!("applying migration {version}"), error)
            }
            other => StoreError::Unavailable {
                what: format!("{}: migrating: {other}", self.place),
                source: Some(Box::new(other)),
            },
        }
    }

    async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
        let connected =
            tokio::time::timeout(self.patience, PgConnection::connect_with(options)).await;
        match connected {
            Ok(connected) => connected.map_err(|error| self.failed("connecting", error)),
            Err(_) => Err(StoreError::Unavailable {
                what: format!("{}: no answer within {:?}", self.place, self.patience),
                source: None,
            }),
        }
    }

    /// What was asked for is what holds: a setting that did not take is an error, not a surprise.
    /// Returns whether there is a list of migrations.
    async fn check(&self, connection: &mut PgConnection) -> Result<bool, StoreError> {
        let reading = |error| self.failed("reading settings", error);
        let row = sqlx::query(sql::SETTINGS).fetch_one(connection).await.map_err(reading)?;
        let version: i32 = row.try_get(0).map_err(reading)?;
        let encoding: String = row.try_get(1).map_err(reading)?;
        let durable: String = row.try_get(2).map_err(reading)?;
        let fsync: String = row.try_get(3).map_err(reading)?;
        let has_list: bool = row.try_get(4).map_err(reading)?;
        if version < OLDEST_SERVER {
            return Err(StoreError::Address {
                what: format!("{}: the server is older than PostgreSQL 13", self.place),
                hint: "use PostgreSQL 13 or newer".to_owned(),
            });
        }
        if encoding != "UTF8" {
            return Err(StoreError::Address {
                what: format!("{}: its encoding is {encoding}, not UTF8", self.place),
                hint: "create the database with `createdb -E UTF8 -T template0 NAME`".to_owned(),
            });
        }
        if !self.read_only && durable != self.synchronous_commit {
            return Err(StoreError::Unavailable {
                what: format!(
                    "{} does not take the settings that durability needs (synchronous_commit is \
                     {durable})",
                    self.place
                ),
                source: None,
            });
        }
        if fsync != "on" && self.synchronous_commit == "on" {
            tracing::debug!(
                place = self.place,
                "the server runs with fsync=off: a power cut can lose and damage data"
            );
        }
        Ok(has_list)
    }

    /// An error with the place it happened at.
    pub(super) fn failed(&self, what: &str, error: sqlx::Error) -> StoreError {
        from_sqlx(&format!("{}: {what}", self.place), error)
    }
}

async fn close(connection: PgConnection) {
    // The server notices a connection that was not closed well, too.
    let _ = connection.close().await;
}

fn patience(options: &OpenOptions) -> Duration {
    if options.patience.is_zero() { Duration::from_secs(10) } else { options.patience }
}
