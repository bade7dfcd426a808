//! The physical floor: what one durable step costs on the very file or server that is measured.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use apflow::prelude::Durability;
use sqlx::{
    Connection as _, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// One committed one-row update on a SQLite file.
pub async fn sqlite(
    path: &Path,
    durability: Durability,
    commits: u32,
) -> Result<Duration, sqlx::Error> {
    let synchronous = match durability {
        Durability::Strict => SqliteSynchronous::Full,
        Durability::Relaxed => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let setup = "CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY, n INTEGER);
        INSERT OR IGNORE INTO floor VALUES (1, 0)";
    sqlx::raw_sql(setup).execute(&mut connection).await?;
    let update = "UPDATE floor SET n = $1 WHERE id = 1";
    let begun = Instant::now();
    for n in 0..commits {
        sqlx::query(update).bind(n).execute(&mut connection).await?;
    }
    let each = begun.elapsed() / commits;
    connection.close().await?;
    Ok(each)
}

/// One committed one-row update on a PostgreSQL server.
pub async fn postgres(
    url: &str,
    durability: Durability,
    commits: u32,
) -> Result<Duration, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let setting = match durability {
        Durability::Strict => "SET synchronous_commit = on",
        Durability::Relaxed => "SET synchronous_commit = off",
    };
    sqlx::raw_sql(setting).execute(&mut connection).await?;
    let setup = "CREATE TABLE IF NOT EXISTS floor (id INT PRIMARY KEY, n INT);
        INSERT INTO floor VALUES (1, 0) ON CONFLICT DO NOTHING";
    sqlx::raw_sql(setup).execute(&mut connection).await?;
    let update = "UPDATE floor SET n = $1 WHERE id = 1";
    let begun = Instant::now();
    for n in 0..commits {
        sqlx::query(update).bind(i32::try_from(n).unwrap_or(0)).execute(&mut connection).await?;
    }
    let each = begun.elapsed() / commits;
    connection.close().await?;
    Ok(each)
}
