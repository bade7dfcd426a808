//! `apflow db stats`, `prune`, `vacuum`, `backup`: how large the database is, and keeping it small.

use std::{path::Path, time::Duration};

use apflow::{App, core::store::StoreError};
use serde_json::{Value, json};

use crate::{
    args::RunOutput,
    config::{self, Database, Settings},
    error::{CliError, Exit},
    show::{self, data, table},
};

/// About so many tasks go in one transaction.
const AT_ONCE: u32 = 500;

async fn opened(database: &Database) -> Result<App, CliError> {
    database.prepare()?;
    Ok(App::builder().database(&database.address).open().await?)
}

pub(crate) async fn stats(settings: &Settings, output: RunOutput) -> Result<Exit, CliError> {
    let database = Database::find(settings);
    let app = config::reader(&database).open().await?;
    let stats = app.engine().store().stats().await?;
    let _ = app.shutdown(Duration::ZERO).await;
    let rows: Vec<Value> = stats
        .tables
        .iter()
        .map(|table| json!({ "table": table.name, "rows": table.rows }))
        .collect();
    let whole = json!({
        "database": database.shown(), "bytes": stats.bytes, "free_bytes": stats.free_bytes,
        "tables": rows,
    });
    match output {
        RunOutput::Table => {
            let mut words = whole.clone();
            let counts: Vec<String> = stats
                .tables
                .iter()
                .filter(|table| table.rows > 0)
                .map(|table| format!("{} {}", table.name, table.rows))
                .collect();
            words["tables"] =
                if counts.is_empty() { "empty".into() } else { counts.join(" · ").into() };
            show::data(&table::fields(&words))?;
        }
        RunOutput::Json => show::data(&data::json(&whole))?,
        RunOutput::Yaml => show::data(&data::yaml(&whole)?)?,
    }
    Ok(Exit::Ok)
}

pub(crate) async fn prune(settings: &Settings, days: Option<u32>) -> Result<Exit, CliError> {
    const DAY: Duration = Duration::from_hours(24);
    let keep = match days {
        Some(days) => DAY * days,
        None => config::keep(settings).ok_or_else(|| {
            CliError::usage("the configuration keeps everything (`retention.keep_days` is 0)")
                .help("say how old what goes has to be: --older-than-days DAYS")
        })?,
    };
    let database = Database::find(settings);
    let app = opened(&database).await?;
    let mut gone = 0;
    loop {
        match app.engine().store().retire(keep, AT_ONCE).await? {
            0 => break,
            tasks => gone += tasks,
        }
    }
    let _ = app.shutdown(Duration::ZERO).await;
    let tasks = show::count(usize::try_from(gone).unwrap_or(usize::MAX), "task");
    show::say(&format!("deleted {tasks} from {}", show::plain(&database.shown())));
    Ok(Exit::Ok)
}

pub(crate) async fn vacuum(settings: &Settings) -> Result<Exit, CliError> {
    let database = Database::find(settings);
    let app = opened(&database).await?;
    let before = app.engine().store().stats().await?.bytes;
    app.engine().store().vacuum().await?;
    let after = app.engine().store().stats().await?.bytes;
    let _ = app.shutdown(Duration::ZERO).await;
    let database = show::plain(&database.shown());
    show::say(&format!("{database} took {before} bytes and takes {after}"));
    Ok(Exit::Ok)
}

pub(crate) async fn backup(settings: &Settings, to: &Path) -> Result<Exit, CliError> {
    let database = Database::find(settings);
    let shown = show::plain(&to.display().to_string());
    if to.exists() {
        return Err(CliError::usage(format!("{shown} is there already"))
            .help("name a file that is not there yet"));
    }
    let Some(path) = to.to_str() else {
        return Err(CliError::usage(format!("{shown} is no name in UTF-8")));
    };
    // Reading is enough, so a process that has the file may go on with it.
    let app = config::reader(&database).open().await?;
    let copied = app.engine().store().copy_into(path).await;
    let _ = app.shutdown(Duration::ZERO).await;
    match copied {
        Ok(()) => {
            show::say(&format!("{shown} is a copy of {}", show::plain(&database.shown())));
            Ok(Exit::Ok)
        }
        Err(StoreError::NotOffered { .. }) => {
            Err(CliError::usage("a PostgreSQL database is backed up by its own tools")
                .help("pg_dump --format=custom --file BACKUP \"$APFLOW_DATABASE_URL\"")
                .help("or write its tasks as JSON lines: apflow db export FILE"))
        }
        Err(error) => Err(error.into()),
    }
}
