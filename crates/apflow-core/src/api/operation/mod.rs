//! The catalogue: what each operation is called, what it takes and gives, and how careful to be with it.
//!
//! Every protocol, the command line and the generated reference are made from it (ruling 26).

mod action;
mod budgets;
mod channel;
mod config;
mod crud;
mod feedback;
mod flow;
mod generate;
mod letters;
mod monitoring;
mod query;
pub mod route;
mod scheduling;
mod shapes;
mod snapshot;
mod system;
mod webhook;
mod words;

use serde_json::{Map, Value, json};

use super::reply::PROTOCOL_VERSION;

/// One thing apflow can be asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The JSON-RPC method.
    pub id: &'static str,
    /// The module id for MCP, A2A and apcore (ruling 29).
    pub module: &'static str,
    /// The MCP tool name of v1, if it had one.
    pub mcp: Option<&'static str>,
    /// A short title.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Which shelf it stands on.
    pub category: Category,
    /// Words to find it by.
    pub tags: &'static [&'static str],
    /// How careful to be with it.
    pub annotations: Annotations,
    /// Example parameters, as JSON text.
    pub examples: &'static [&'static str],
    input: fn() -> Value,
    output: fn() -> Value,
}

impl Operation {
    /// JSON Schema of the parameters.
    pub fn input_schema(&self) -> Value {
        (self.input)()
    }

    /// JSON Schema of the result.
    pub fn output_schema(&self) -> Value {
        (self.output)()
    }

    /// The operation with this method name, module id or MCP name.
    pub fn find(name: &str) -> Option<&'static Self> {
        operations()
            .find(|it| it.id == name || it.module == name || it.mcp.is_some_and(|mcp| mcp == name))
    }
}

/// The shelves of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Makes things happen.
    AgentAction,
    /// Writes and reads single tasks.
    Crud,
    /// Reads many.
    Query,
    /// Looks at what goes on.
    Monitoring,
    /// Runs tasks by the clock, or because somebody outside says so.
    Scheduling,
    /// Asks about the process.
    System,
}

impl Category {
    /// Every shelf, in the order v1 lists them.
    pub const ALL: [Self; 6] = [
        Self::AgentAction,
        Self::Crud,
        Self::Query,
        Self::Monitoring,
        Self::Scheduling,
        Self::System,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentAction => "agent_action",
            Self::Crud => "crud",
            Self::Query => "query",
            Self::Monitoring => "monitoring",
            Self::Scheduling => "scheduling",
            Self::System => "system",
        }
    }
}

/// How careful to be with an operation, in apcore's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the vocabulary is apcore's")]
pub struct Annotations {
    /// It changes nothing.
    pub readonly: bool,
    /// What it does cannot be undone.
    pub destructive: bool,
    /// Doing it twice is doing it once.
    pub idempotent: bool,
    /// It may reach beyond apflow.
    pub open_world: bool,
    /// It can tell what happens while it happens.
    pub streaming: bool,
}

const READS: Annotations = Annotations {
    readonly: true,
    destructive: false,
    idempotent: true,
    open_world: false,
    streaming: false,
};
const WRITES: Annotations = Annotations { readonly: false, idempotent: false, ..READS };
const REPLACES: Annotations = Annotations { readonly: false, ..READS };
const DESTROYS: Annotations = Annotations { destructive: true, ..REPLACES };

/// The shelves in the order v1 lists them, each in the order of v1.
static SHELVES: &[&[Operation]] = &[
    action::OPERATIONS,
    generate::TASKS,
    crud::OPERATIONS,
    query::OPERATIONS,
    monitoring::OPERATIONS,
    scheduling::OPERATIONS,
    webhook::OPERATIONS,
    feedback::OPERATIONS,
    channel::OPERATIONS,
    system::OPERATIONS,
    generate::KEYS,
    config::OPERATIONS,
    snapshot::OPERATIONS,
    flow::OPERATIONS,
    letters::OPERATIONS,
    budgets::OPERATIONS,
];

/// Every operation; those of v1 first and in its order.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    SHELVES.iter().copied().flatten()
}

/// The document of `GET /tasks/methods`; `protocols` says what this process serves.
pub fn methods(protocols: &Map<String, Value>) -> Value {
    let shown: Vec<_> = operations().filter(|it| it.category != Category::System).collect();
    let mut categories = Vec::new();
    let mut methods = Map::new();
    for category in Category::ALL {
        let list: Vec<Value> =
            shown.iter().filter(|it| it.category == category).map(|it| method(it)).collect();
        if !list.is_empty() {
            categories.push(category.as_str());
            methods.insert(category.as_str().to_owned(), Value::Array(list));
        }
    }
    json!({
        "total": shown.len(), "categories": categories, "methods": methods,
        "protocols": protocols, "protocol_version": PROTOCOL_VERSION,
    })
}

fn method(operation: &Operation) -> Value {
    let examples: Vec<Value> =
        operation.examples.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let Annotations { readonly, destructive, idempotent, open_world, streaming } =
        operation.annotations;
    json!({
        "method": operation.id, "name": operation.name, "description": operation.description,
        "category": operation.category.as_str(), "tags": operation.tags,
        "input_schema": operation.input_schema(), "output_schema": operation.output_schema(),
        "supports_streaming": streaming, "examples": examples, "module": operation.module,
        "mcp_tool": operation.mcp,
        "annotations": {
            "readonly": readonly, "destructive": destructive, "idempotent": idempotent,
            "open_world": open_world, "streaming": streaming,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Call;

    #[test]
    fn every_operation_has_its_own_names_and_can_be_found_by_each() {
        let mut names = BTreeSet::new();
        for operation in operations() {
            for name in [operation.id, operation.module].into_iter().chain(operation.mcp) {
                assert!(names.insert(name), "{name} twice");
                assert_eq!(Operation::find(name).map(|it| it.id), Some(operation.id));
            }
            assert!(operation.description.ends_with('.'), "{}", operation.id);
        }
        assert!(Operation::find("tasks.nope").is_none());
    }

    #[test]
    fn every_example_is_read_without_a_warning() {
        for operation in operations() {
            assert!(!operation.examples.is_empty(), "{}", operation.id);
            for example in operation.examples {
                let params = serde_json::from_str(example).expect(example);
                let read = Call::read(operation.id, params).expect(operation.id);
                assert_eq!(read.warnings, Vec::<String>::new(), "{}", operation.id);
            }
        }
    }

    #[test]
    fn every_parameter_a_schema_names_is_known_to_the_reader() {
        for operation in operations() {
            let schema = operation.input_schema();
            for name in schema["properties"].as_object().expect("an object").keys() {
                // `updates` stands in place of the flat fields, `tasks` of `task_id`.
                let mut params = json!({
                    "task_id": "a", "name": "n", "requirement": "r", "provider": "p",
                    "api_key": "k", "key": "k", "value": 1,
                    "id": "a", "topic": "t", "answer": true,
                    "scope": "user", "scope_id": "u", "limit": 1, "approve": true,
                    "from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z",
                });
                if ["tasks.create", "tasks.execute"].contains(&operation.id) {
                    params = json!({ "tasks": [] });
                }
                if operation.id == "snapshots.import" {
                    params = json!({ "context": {}, "state": {}, "meta": {} });
                }
                params[name] = params.get(name).cloned().unwrap_or(Value::Null);
                // A `null` may be refused; then the error names it, and that is knowing it too.
                match Call::read(operation.id, params) {
                    Ok(read) => {
                        let told = format!("`{name}`");
                        let ignored = read.warnings.iter().any(|it| it.contains(&told));
                        assert!(!ignored, "{}: {:?}", operation.id, read.warnings);
                    }
                    Err(error) => {
                        let field = error.problems[0].field.as_deref();
                        assert_eq!(field, Some(name.as_str()), "{}", operation.id);
                    }
                }
            }
        }
    }

    #[test]
    fn discovery_has_the_shape_v1_clients_read() {
        let document = methods(&Map::new());
        assert_eq!(
            document["categories"],
            json!(["agent_action", "crud", "query", "monitoring", "scheduling"])
        );
        let shown = operations().filter(|it| it.category != Category::System).count();
        assert_eq!(document["total"], shown);
        let first = &document["methods"]["agent_action"][0];
        assert_eq!(first["method"], "tasks.execute");
        for key in ["name", "description", "category", "tags", "input_schema", "examples"] {
            assert!(!first[key].is_null(), "{key}");
        }
        assert_eq!(first["supports_streaming"], false);
    }
}
