//! Telling what is configured: values, origins, files, and what is wrong.

use std::fmt::Write as _;

use apflow::core::problem::{Problems, nearest};
use serde_json::{Value, json};

use crate::{
    args::RunOutput,
    config::{
        Overrides, Settings,
        gather::{Gathered, Reading},
        key::{Key, Retired, Standing},
        layer::Layer,
        place::World,
        secret::Secret,
        table::KEYS,
        value::{REFERENCE, shown},
    },
    error::{CliError, Exit},
    show::{self, data, table},
};

/// The key somebody typed.
pub(super) fn key(typed: &str) -> Result<&'static Key, CliError> {
    if let Some(key) = Key::meant(typed) {
        return Ok(key);
    }
    let told = CliError::usage(format!("there is no key `{typed}`")).exiting(Exit::NotFound);
    if let Some(retired) = Retired::named(&typed.replace('-', "_")) {
        return Err(told.because(retired.says).help("`apflow config list` shows the keys"));
    }
    Err(match nearest(typed, KEYS.iter().map(|key| key.name)) {
        Some(near) => told.help(format!("did you mean `{near}`?")),
        None => told.help("`apflow config list` shows the keys"),
    })
}

/// Stops where something is wrong; what a wrong file says is not what counts.
fn sound(gathered: &Gathered) -> Result<(), CliError> {
    if gathered.problems.is_empty() {
        return Ok(());
    }
    Err(CliError::problems("the configuration", Problems(gathered.problems.clone())))
}

pub(super) fn get(gathered: &Gathered, typed: &str, output: RunOutput) -> Result<Exit, CliError> {
    let key = key(typed)?;
    sound(gathered)?;
    let row = row(gathered, key);
    match output {
        RunOutput::Table => show::data(&show::plain_lines(&data::brief(&row["value"])))?,
        RunOutput::Json => show::data(&data::json(&row))?,
        RunOutput::Yaml => show::data(&data::yaml(&row)?)?,
    }
    Ok(Exit::Ok)
}

fn row(gathered: &Gathered, key: &Key) -> Value {
    json!({
        "key": key.name, "value": shown(key, &gathered.value(key)),
        "origin": gathered.origin(key).to_string(),
    })
}

pub(super) fn list(gathered: &Gathered, set: bool, output: RunOutput) -> Result<Exit, CliError> {
    sound(gathered)?;
    let rows: Vec<Value> = KEYS
        .iter()
        // What has no effect and no value is in the reference for who looks for it.
        .filter(|key| gathered.winner(key).is_some() || (!set && key.standing == Standing::Used))
        .map(|key| row(gathered, key))
        .collect();
    match output {
        RunOutput::Table => {
            let cells = |row: &Value| {
                let cell = |name: &str| data::brief(&row[name]);
                vec![cell("key"), show::short(&cell("value"), 60), cell("origin")]
            };
            show::data(&table::table(&["key", "value", "origin"], rows.iter().map(cells)))?;
        }
        RunOutput::Json => show::data(&data::json(&Value::Array(rows)))?,
        RunOutput::Yaml => show::data(&data::yaml(&Value::Array(rows))?)?,
    }
    Ok(Exit::Ok)
}

pub(super) fn explain(
    gathered: &Gathered,
    typed: &str,
    output: RunOutput,
) -> Result<Exit, CliError> {
    let key = key(typed)?;
    let said: Vec<Value> = gathered
        .all(key)
        .iter()
        .map(|found| {
            json!({
                "layer": found.origin.layer.as_str(), "place": found.origin.place(),
                "value": shown(key, &found.value), "refused": found.refused,
            })
        })
        .collect();
    let unused = match key.standing {
        Standing::Used => None,
        Standing::Unused(why) => Some(why),
    };
    let whole = json!({
        "key": key.name, "description": key.sentence, "takes": key.kind.expected(),
        "default": key.default.map(|_| key.default_value()),
        "value": shown(key, &gathered.value(key)),
        "origin": gathered.origin(key).to_string(), "said": said,
        "variables": key.variables, "switch": key.switch, "flag": key.flag, "old_names": key.old,
        "secret": key.secret, "needs_trust": key.grants, "reloadable": key.reloads,
        "no_effect": unused,
    });
    match output {
        RunOutput::Table => show::data(&in_words(&whole))?,
        RunOutput::Json => show::data(&data::json(&whole))?,
        RunOutput::Yaml => show::data(&data::yaml(&whole)?)?,
    }
    sound(gathered)?;
    Ok(Exit::Ok)
}

fn in_words(whole: &Value) -> String {
    let text = |name: &str| data::brief(&whole[name]);
    let list = |name: &str| -> Option<String> {
        let words: Vec<&str> = whole[name].as_array()?.iter().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let mut out = format!("{}\n{}\n\n", text("key"), text("description"));
    let mut line = |label: &str, text: Option<String>| {
        if let Some(text) = text {
            let _ = writeln!(out, "{label:<10}  {}", show::plain(&text));
        }
    };
    let some = |name: &str| (!whole[name].is_null()).then(|| text(name));
    line("takes", some("takes"));
    line("default", some("default"));
    line("value", some("value"));
    line("from", some("origin"));
    line("variables", list("variables"));
    line("switch", some("switch").map(|name| format!("the last one counts only with {name}=1")));
    line("flag", some("flag"));
    line("old names", list("old_names"));
    for (name, sentence) in [
        ("secret", "it is never shown"),
        ("needs_trust", "it counts in a project only if that is trusted"),
        ("reloadable", "a running server takes a new value"),
    ] {
        line("note", (whole[name] == true).then(|| sentence.to_owned()));
    }
    line("no effect", some("no_effect"));
    let said = whole["said"].as_array().map_or(&[][..], Vec::as_slice);
    if said.is_empty() {
        out.push_str("\nNobody sets it, so the default counts.\n");
        return out;
    }
    let wins = said.iter().rposition(|row| row["refused"].is_null());
    let rows = said.iter().enumerate().rev().map(|(place, row)| {
        let cell = |name: &str| data::brief(&row[name]);
        let standing = match &row["refused"] {
            Value::String(why) => format!("does not count: {why}"),
            _ if Some(place) == wins => "wins".to_owned(),
            _ => String::new(),
        };
        vec![cell("layer"), show::short(&cell("value"), 60), cell("place"), standing]
    });
    out.push('\n');
    out.push_str(&table::table(&["layer", "value", "place", ""], rows));
    out
}

pub(super) fn path(
    world: &World,
    overrides: &Overrides,
    gathered: &Gathered,
    output: RunOutput,
) -> Result<Exit, CliError> {
    let written: Vec<_> = [Layer::System, Layer::User, Layer::Project]
        .into_iter()
        .filter_map(|layer| world.written(layer, overrides.config.as_deref()))
        .collect();
    let mut rows: Vec<Value> = gathered
        .files
        .iter()
        .map(|(place, reading)| {
            let standing = match reading {
                Reading::Read => "read",
                Reading::Absent => "not there",
                Reading::Foreign => "left alone: it belongs to somebody else",
                Reading::Broken => "cannot be read",
            };
            json!({
                "layer": place.layer.as_str(), "path": place.path, "standing": standing,
                "written": written.contains(&place.path),
            })
        })
        .collect();
    if let Some(path) = &gathered.dotenv {
        let layer = Layer::Dotenv.as_str();
        rows.push(json!({"layer": layer, "path": path, "standing": "read", "written": false}));
    }
    let whole = json!({
        "files": rows, "project": gathered.project, "trusted": gathered.trusted(),
        "profile": gathered.profile,
    });
    match output {
        RunOutput::Table => {
            let cells = |row: &Value| {
                let cell = |name: &str| data::brief(&row[name]);
                let written = if row["written"] == true { "`config set` writes here" } else { "" };
                vec![cell("layer"), cell("path"), cell("standing"), written.to_owned()]
            };
            let headings = ["layer", "file", "standing", ""];
            let mut text = table::table(&headings, rows.iter().map(cells));
            let trusted = if gathered.trusted() { "trusted" } else { "not trusted" };
            let project = show::plain(&gathered.project.display().to_string());
            let _ = writeln!(text, "\nThe later one wins. The project {project} is {trusted}.");
            show::data(&text)?;
        }
        RunOutput::Json => show::data(&data::json(&whole))?,
        RunOutput::Yaml => show::data(&data::yaml(&whole)?)?,
    }
    Ok(Exit::Ok)
}

pub(super) fn validate(gathered: Gathered, output: RunOutput) -> Result<Exit, CliError> {
    let files = gathered.files.iter().filter(|(_, reading)| *reading == Reading::Read).count();
    let (values, warnings) =
        (KEYS.iter().filter(|key| gathered.winner(key).is_some()).count(), gathered.warnings.len());
    let references: Vec<String> = KEYS
        .iter()
        .filter(|key| key.secret)
        .filter_map(|key| gathered.value(key).as_str().map(str::to_owned))
        .filter(|text| text.starts_with(REFERENCE))
        .collect();
    // Their types are checked as well, as every command would.
    let settings = Settings::typed(gathered)?;
    for reference in references {
        Secret::new(reference).reveal()?;
    }
    crate::log::check(settings.log_filter().as_deref())?;
    let whole = json!({"files": files, "values": values, "warnings": warnings, "valid": true});
    match output {
        RunOutput::Table => show::data(&format!(
            "{} read, {} set, {}: nothing is wrong\n",
            show::count(files, "file"),
            show::count(values, "key"),
            show::count(warnings, "warning")
        ))?,
        RunOutput::Json => show::data(&data::json(&whole))?,
        RunOutput::Yaml => show::data(&data::yaml(&whole)?)?,
    }
    Ok(Exit::Ok)
}
