//! The page of the operations, made from the catalogue.

use std::{collections::BTreeMap, fmt::Write as _};

use apflow_core::api::{
    Category, Operation,
    operation::{operations, route::routes},
};
use serde_json::Value;

/// The whole page.
pub(super) fn page() -> String {
    let mut page = String::from(
        "# Operations\n\n\
         Everything apflow can be asked to do. JSON-RPC takes the method on `/tasks`, `/system` or `/`; \
         as a resource an operation stands under `/v1`, and `/openapi.json` describes it for programs. \
         Resources refuse fields and parameters that are not listed; on `/tasks` they are ignored with a \
         warning.\n\n\
         This page is made from `crates/apflow-core/src/api/operation` by `cargo xtask reference`.\n",
    );
    for category in Category::ALL {
        let shelf: Vec<_> = operations().filter(|it| it.category == category).collect();
        if shelf.is_empty() {
            continue;
        }
        let _ = writeln!(page, "\n## {}", category.as_str());
        for operation in shelf {
            describe(&mut page, operation);
        }
    }
    page.push_str("\n## Shapes\n");
    for (title, schema) in shapes() {
        let _ = write!(page, "\n### {title}\n\n");
        fields(&mut page, &schema);
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// The objects that have a name of their own.
fn shapes() -> BTreeMap<String, Value> {
    let mut shapes = BTreeMap::new();
    for operation in operations() {
        collect(&operation.input_schema(), &mut shapes);
        collect(&operation.output_schema(), &mut shapes);
    }
    shapes
}

fn collect(schema: &Value, shapes: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Object(entries) => {
            if let (Some(Value::String(title)), true) =
                (entries.get("title"), entries.contains_key("properties"))
            {
                shapes.insert(title.clone(), schema.clone());
            }
            entries.values().for_each(|value| collect(value, shapes));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, shapes)),
        _ => {}
    }
}

fn describe(page: &mut String, operation: &Operation) {
    let _ = write!(page, "\n### {}\n\n{}\n\n", operation.id, operation.description);
    let ways: Vec<String> = routes()
        .iter()
        .filter(|(it, _)| it.id == operation.id)
        .map(|(_, route)| format!("`{} {}`", route.verb.as_str(), route.path()))
        .collect();
    let _ = writeln!(page, "- Resource: {}", ways.join(", "));
    let _ = writeln!(page, "- Module: `{}`{}", operation.module, tool(operation));
    let _ = writeln!(page, "- {}\n", careful(operation));
    fields(page, &operation.input_schema());
    let _ = writeln!(page, "Answer: {}.\n", kind(&operation.output_schema()));
    for example in operation.examples {
        let _ = writeln!(page, "```json\n{example}\n```");
    }
}

fn tool(operation: &Operation) -> String {
    operation
        .mcp
        .map_or_else(String::new, |tool| format!("; MCP tool of the Python version: `{tool}`"))
}

/// The annotations as a sentence.
fn careful(operation: &Operation) -> &'static str {
    let annotations = operation.annotations;
    match (annotations.readonly, annotations.destructive, annotations.idempotent) {
        (true, ..) => "Changes nothing.",
        (_, true, _) => "Cannot be undone.",
        (_, _, true) => "Doing it twice is doing it once.",
        _ => "Doing it twice does it twice, but for an idempotency key.",
    }
}

fn fields(page: &mut String, schema: &Value) {
    let none = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    if properties.is_empty() {
        page.push_str("It takes no parameters.\n\n");
        return;
    }
    page.push_str("| Parameter | | What it is |\n|---|---|---|\n");
    for (name, field) in properties {
        let required =
            schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
        let mut says = field["description"].as_str().unwrap_or_default().to_owned();
        if let Some(default) = field.get("default") {
            let _ = write!(says, " Default: `{default}`.");
        }
        let needed = if required { ", required" } else { "" };
        let _ = writeln!(page, "| `{name}` | {}{needed} | {} |", kind(field), says.trim());
    }
    page.push('\n');
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(ways) = schema["anyOf"].as_array() {
        let ways: Vec<String> = ways.iter().map(kind).collect();
        return ways.join(" or ");
    }
    match &schema["type"] {
        Value::String(word) if word == "array" => format!("array of {}", kind(&schema["items"])),
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            let word = words.iter().filter_map(Value::as_str).find(|word| *word != "null");
            match word {
                Some("array") => format!("array of {}", kind(&schema["items"])),
                other => other.unwrap_or("anything").to_owned(),
            }
        }
        _ => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_way_in_stands_on_the_page() {
        let page = page();
        for (operation, route) in routes() {
            assert!(page.contains(&format!("\n### {}\n", operation.id)), "{}", operation.id);
            let way = format!("`{} {}`", route.verb.as_str(), route.path());
            assert!(page.contains(&way), "{way}");
        }
    }

    #[test]
    fn every_parameter_is_a_row() {
        let page = page();
        for operation in operations() {
            for name in operation.input_schema()["properties"].as_object().unwrap().keys() {
                assert!(page.contains(&format!("| `{name}` | ")), "{}: {name}", operation.id);
            }
        }
        for shape in ["NewTask", "Task", "TaskPage", "Tree"] {
            assert!(page.contains(&format!("\n### {shape}\n")), "{shape}");
        }
        assert!(page.contains("| `limit` | integer | At most so many. Default: `100`. |"));
    }
}
