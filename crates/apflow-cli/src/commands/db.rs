//! `apflow db`: bringing the database up to date, and saying how it stands.

use std::time::Duration;

use apflow::{App, core::store::TaskFilter};
use serde_json::{Map, Value, json};

use super::{care, transfer};
use crate::{
    args::{Db, DbCommand, RunOutput},
    config::{self, Database, Settings},
    error::{CliError, Exit},
    show::{self, data, table},
};

pub(crate) async fn db(args: Db, settings: &Settings) -> Result<Exit, CliError> {
    match args.command {
        DbCommand::Stats { output, .. } => return care::stats(settings, output).await,
        DbCommand::Prune { older_than_days, .. } => {
            return care::prune(settings, older_than_days).await;
        }
        DbCommand::Vacuum { .. } => return care::vacuum(settings).await,
        DbCommand::Backup { to, .. } => return care::backup(settings, &to).await,
        DbCommand::Export { to, .. } => return transfer::export(settings, &to).await,
        DbCommand::Import { from, skip_existing, .. } => {
            return transfer::import(settings, &from, skip_existing).await;
        }
        DbCommand::Migrate { .. } => {
            let database = Database::find(settings);
            database.prepare()?;
            let app = App::builder().database(&database.address).open().await?;
            let _ = app.shutdown(Duration::ZERO).await;
            show::say(&format!("{} is up to date", show::plain(&database.shown())));
        }
        DbCommand::Status { output, .. } => {
            let database = Database::find(settings);
            let app = config::reader(&database).open().await?;
            let store = app.engine().store();
            let counts = store.count(&TaskFilter::default()).await?;
            let mut tasks = Map::new();
            for status in apflow::core::task::Status::ALL {
                tasks.insert(status.to_string(), json!(counts.of(status)));
            }
            tasks.insert("total".to_owned(), json!(counts.total()));
            let aside: Vec<Value> = store
                .set_aside()
                .await?
                .into_iter()
                .map(|(table, row, what)| json!({ "table": table, "row": row, "what": what }))
                .collect();
            let damaged = !aside.is_empty();
            let whole = json!({
                "database": database.shown(), "migrations": "up to date",
                "tasks": tasks, "set_aside": aside,
            });
            match output {
                RunOutput::Table => show::data(&table::fields(&in_words(&whole)))?,
                RunOutput::Json => show::data(&data::json(&whole))?,
                RunOutput::Yaml => show::data(&data::yaml(&whole)?)?,
            }
            if damaged {
                show::warn(
                    "rows that cannot be read were set aside; the rest goes on without them",
                );
            }
        }
    }
    Ok(Exit::Ok)
}

/// The same for people: counts and rows in words.
fn in_words(whole: &Value) -> Value {
    let mut words = whole.clone();
    let tasks = whole["tasks"].as_object().into_iter().flatten();
    let counts: Vec<String> = tasks
        .filter(|(name, count)| *name != "total" && count.as_u64() != Some(0))
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words["tasks"] = if counts.is_empty() { "none".into() } else { counts.join(" · ").into() };
    let rows: Vec<String> = whole["set_aside"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let part = |name: &str| data::brief(&row[name]);
            format!("{} {}: {}", part("table"), part("row"), part("what"))
        })
        .collect();
    words["set_aside"] = if rows.is_empty() { "none".into() } else { rows.join("; ").into() };
    words
}
