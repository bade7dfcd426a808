//! What the table of keys says to people and editors: the reference, the JSON Schema, a first file.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    key::{Key, Kind, Standing},
    layer::Layer,
    table::{KEYS, PLACES, RETIRED, SECTIONS},
};

/// The JSON Schema of a configuration file.
pub(crate) fn json_schema() -> Value {
    let mut properties = sections();
    let profile = json!({
        "type": "object", "properties": properties.clone(), "additionalProperties": false,
    });
    properties.insert(
        "profiles".to_owned(),
        json!({
            "type": "object", "additionalProperties": profile,
            "description": "Values that go over the others of this file when their profile is taken.",
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "apflow configuration file", "type": "object",
        "properties": properties, "additionalProperties": false,
    })
}

fn sections() -> Map<String, Value> {
    let mut sections = Map::new();
    for (name, sentence) in SECTIONS {
        let of_section = || KEYS.iter().filter(|key| key.parts().0 == *name);
        let mut words = Map::new();
        for (key, word) in of_section().filter_map(|key| Some((key, key.parts().1?))) {
            words.insert(word.to_owned(), schema_of(key));
        }
        let schema = match of_section().find(|key| key.parts().1.is_none()) {
            Some(whole) => schema_of(whole),
            None => json!({
                "type": "object", "description": sentence, "properties": words,
                "additionalProperties": false,
            }),
        };
        sections.insert((*name).to_owned(), schema);
    }
    sections
}

fn schema_of(key: &Key) -> Value {
    let mut schema = key.kind.schema();
    let mut sentence = key.sentence.to_owned();
    if let Standing::Unused(why) = key.standing {
        let _ = write!(sentence, " It has no effect: {why}.");
    }
    schema["description"] = json!(sentence);
    if key.default.is_some() {
        schema["default"] = key.default_value();
    }
    schema
}

/// The page of the reference.
pub(crate) fn reference() -> String {
    let mut page = String::from(
        "# Configuration keys\n\n\
         Every key, its variables and its names in the Python versions. The [guide](../guides/configuration.md) \
         says where files are and which one wins. `apflow config explain KEY` says where a value comes from.\n\n\
         This page is made from `crates/apflow-cli/src/config/table.rs` by `cargo xtask reference`.\n",
    );
    for (section, sentence) in SECTIONS {
        let _ = write!(page, "\n## {section}\n\n{sentence}\n\n");
        page.push_str(
            "| Key | Takes | Default | Variables | What it does |\n|---|---|---|---|---|\n",
        );
        for key in KEYS.iter().filter(|key| key.parts().0 == *section) {
            let default = key.default.map_or_else(String::new, |typed| format!("`{typed}`"));
            let variables: Vec<String> =
                key.variables.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} | {} |",
                key.name,
                key.kind.expected(),
                variables.join(", "),
                about(key)
            );
        }
    }
    page.push_str(
        "\n## Variables that say where the configuration is\n\n| Variable | Meaning |\n|---|---|\n",
    );
    for (name, sentence) in PLACES {
        let _ = writeln!(page, "| `{name}` | {sentence} |");
    }
    page.push_str(
        "\n## Names of the Python versions without a setting\n\n\
         They are known, and a warning says what became of them.\n\n| Name | What became of it |\n|---|---|\n",
    );
    for retired in RETIRED {
        let names: Vec<String> = retired.names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| {} | {} |", names.join(", "), retired.says);
    }
    page
}

/// What a key does, with everything that is special about it.
fn about(key: &Key) -> String {
    let mut parts = vec![key.sentence.to_owned()];
    if let Kind::Tables(fields) = key.kind {
        for field in fields {
            let must = if field.required { ", required" } else { "" };
            parts.push(format!(
                "`{}` ({}{must}): {}",
                field.name,
                field.kind.expected(),
                field.sentence
            ));
        }
    }
    if let (Some(switch), Some(last)) = (key.switch, key.variables.last()) {
        parts.push(format!("`{last}` counts only with `{switch}=1`."));
    }
    if let Some(flag) = key.flag {
        parts.push(format!("Flag: `{flag}`."));
    }
    if !key.old.is_empty() {
        let names: Vec<String> = key.old.iter().map(|name| format!("`{name}`")).collect();
        parts.push(format!("Old names: {}.", names.join(", ")));
    }
    if key.secret {
        parts.push("A secret: it is never shown.".to_owned());
    }
    if key.grants {
        parts.push("Counts in a project only if it is trusted.".to_owned());
    }
    if key.reloads {
        parts.push("A running server takes a new value.".to_owned());
    }
    if let Standing::Unused(why) = key.standing {
        parts.push(format!("No effect: {why}."));
    }
    parts.join(" ")
}

/// A first file: every key that has an effect, commented out, with its default.
pub(crate) fn template(layer: Layer) -> String {
    let mut text = format!(
        "# apflow: the configuration of the {layer}. `apflow config explain KEY` says more about a key.\n"
    );
    for (section, sentence) in SECTIONS {
        let keys: Vec<&Key> = KEYS
            .iter()
            .filter(|key| key.parts().0 == *section && key.standing == Standing::Used)
            .filter(|key| !matches!(key.kind, Kind::Tables(_)))
            // Secrets and trust do not belong into what is shared with others.
            .filter(|key| layer != Layer::Project || (!key.secret && key.name != "trust.projects"))
            .collect();
        if keys.is_empty() {
            continue;
        }
        let _ = write!(text, "\n# {sentence}\n[{section}]\n");
        for key in keys {
            let word = key.parts().1.unwrap_or(key.name);
            let _ = writeln!(text, "# {}\n# {word} = {}", key.sentence, example(key));
        }
    }
    // Tables of their own come last, and are shown rather than offered.
    let tables = KEYS.iter().filter(|key| key.standing == Standing::Used);
    for key in tables.filter(|key| matches!(key.kind, Kind::Tables(_))) {
        let _ = writeln!(text, "\n# {}\n# `apflow config explain {}`", key.sentence, key.name);
    }
    text
}

/// A value as it stands in a file.
fn example(key: &Key) -> String {
    match (key.default_value(), key.kind) {
        (Value::Null, Kind::Seconds) => "60".to_owned(),
        (Value::Null, Kind::Whole(least, _)) => least.to_string(),
        (Value::Null, _) => "\"…\"".to_owned(),
        (value, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{bed::Bed, file, place::Form};

    #[test]
    fn the_template_says_nothing_and_all_of_it_can_be_said() {
        for layer in [Layer::User, Layer::Project] {
            let text = template(layer);
            assert!(file::entries(&text, Form::Toml).is_ok_and(|entries| entries.is_empty()));
            // With the marks of the keys taken away it has to be a good file, too.
            let lines = text.lines().map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") => rest.replace("\"…\"", "\"x\""),
                _ => line.to_owned(),
            });
            let text: Vec<String> = lines.collect();
            let mut bed = Bed::new();
            bed.file("home/.config/apflow/config.toml", &text.join("\n"));
            let settings = bed.settings().expect("a good file");
            assert_eq!(settings.warnings(), Vec::<String>::new());
        }
    }

    #[test]
    fn the_schema_and_the_reference_know_every_key() {
        let schema = json_schema();
        let page = reference();
        for key in KEYS {
            let pointer = format!("/properties/{}", key.name.replace('.', "/properties/"));
            let found = schema.pointer(&pointer).expect(key.name);
            assert!(found["description"].as_str().is_some_and(|it| it.starts_with(key.sentence)));
            assert!(page.contains(&format!("| `{}` |", key.name)), "{}", key.name);
        }
        assert!(
            schema.pointer("/properties/profiles/additionalProperties/properties/log").is_some()
        );
    }
}
