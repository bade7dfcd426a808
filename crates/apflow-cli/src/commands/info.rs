//! `apflow info`: what this apflow has, and what it may do.

use std::fmt::Write as _;

use apflow::core::{api::Reply, code::Code, problem::nearest, registry::Registry};
use serde_json::{Value, json};

use crate::{
    args::{Info, RunOutput},
    config::{self, Database, Settings},
    error::{CliError, Exit},
    show::{self, data, table},
};

pub(crate) fn info(args: &Info, settings: &Settings) -> Result<Exit, CliError> {
    config::warn_of_grants(settings)?;
    let registry = config::registry(settings)?;
    let whole = match &args.executor {
        Some(id) => executor(&registry, id)?,
        None => everything(&registry, &Database::find(settings)),
    };
    match (args.output, &args.executor) {
        (RunOutput::Json, _) => show::data(&data::json(&whole))?,
        (RunOutput::Yaml, _) => show::data(&data::yaml(&whole)?)?,
        (RunOutput::Table, Some(_)) => show::data(&one(&whole))?,
        (RunOutput::Table, None) => show::data(&all(&whole))?,
    }
    Ok(Exit::Ok)
}

/// The executors of this process in the shape of the API.
pub(crate) fn executors(registry: &Registry) -> Value {
    let executors = registry.manifests().map(|(manifest, allowed)| (manifest.clone(), allowed));
    let restricted = registry.is_restricted();
    Reply::Executors { executors: executors.collect(), restricted }.json()
}

/// The error for an executor that is not there, with the one that was meant.
pub(crate) fn no_such_executor<'a>(id: &str, known: impl Iterator<Item = &'a Value>) -> CliError {
    let told = CliError::new(Code::NotFound, format!("there is no executor `{id}`"));
    match nearest(id, known.filter_map(|it| it["id"].as_str())) {
        Some(meant) => told.help(format!("did you mean `{meant}`?")),
        None => told.help("`apflow executors list` lists what there is"),
    }
}

fn executor(registry: &Registry, id: &str) -> Result<Value, CliError> {
    let Some(manifest) = registry.manifest(id) else {
        let known = registry.manifests().map(|(it, _)| json!({ "id": it.id })).collect::<Vec<_>>();
        return Err(no_such_executor(id, known.iter()));
    };
    Ok(json!({
        "id": manifest.id, "name": manifest.name, "description": manifest.description,
        "family": manifest.family, "tags": manifest.tags, "unavailable": manifest.unavailable,
        "input_schema": manifest.input_schema, "output_schema": manifest.output_schema,
    }))
}

fn everything(registry: &Registry, database: &Database) -> Value {
    let executors: Vec<Value> = registry
        .manifests()
        .map(|(manifest, allowed)| {
            json!({
                "id": manifest.id, "family": manifest.family, "allowed": allowed,
                "unavailable": manifest.unavailable, "description": manifest.description,
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "database": database.shown(),
        "database_from": database.said_by, "executors": executors,
    })
}

pub(crate) fn one(executor: &Value) -> String {
    let mut text =
        format!("{}\n{}\n", data::brief(&executor["id"]), data::brief(&executor["description"]));
    if let Some(why) = executor["unavailable"].as_str() {
        let _ = writeln!(text, "\nNot available: {}", show::plain(why));
    }
    for (heading, schema) in [("Inputs", "input_schema"), ("Result", "output_schema")] {
        let _ = writeln!(text, "\n{heading}");
        let properties = executor[schema]["properties"].as_object();
        let required = executor[schema]["required"].as_array();
        let rows = properties.into_iter().flatten().map(|(name, schema)| {
            let must = required.is_some_and(|list| list.iter().any(|it| it == name));
            let kind = match &schema["type"] {
                Value::Array(kinds) => {
                    kinds.iter().map(data::brief).collect::<Vec<_>>().join(" or ")
                }
                other => data::brief(other),
            };
            vec![
                name.clone(),
                kind,
                if must { "required".to_owned() } else { String::new() },
                data::brief(&schema["description"]),
            ]
        });
        text.push_str(&table::table(&["name", "type", "", "meaning"], rows));
    }
    text
}

fn all(whole: &Value) -> String {
    let mut text = format!(
        "apflow {}\ndatabase {} ({})\n\n",
        data::brief(&whole["version"]),
        show::plain(&data::brief(&whole["database"])),
        data::brief(&whole["database_from"])
    );
    let executors = whole["executors"].as_array().into_iter().flatten();
    let rows = executors.map(|executor| {
        let standing = match (&executor["allowed"], &executor["unavailable"]) {
            (Value::Bool(false), _) => "not allowed".to_owned(),
            (_, Value::String(why)) => {
                format!("off: {}", show::short(why.split("] ").last().unwrap_or(why), 50))
            }
            _ => "ready".to_owned(),
        };
        vec![data::brief(&executor["id"]), standing, data::brief(&executor["description"])]
    });
    text.push_str(&table::table(&["executor", "standing", "what it does"], rows));
    text
}
