//! The ways in to the operations as resources: method, path, and where each parameter goes.
//!
//! An operation that names no way of its own is reached by `POST /v1/operations/{id}`, so that none is
//! forgotten.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Operation, operations, shapes};

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// The method as HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether parameters come in a body rather than behind a question mark.
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Patch)
    }
}

/// What an answer is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is shown as it is.
    Plain,
    /// `null` means that there is no such task.
    Found,
    /// Something new has an address of its own.
    Created,
    /// A run that began, or has ended.
    Run,
    /// An array of one stands for its only element.
    Only,
    /// A part of a list, with the size of the whole.
    Page,
}

/// One way in to an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// The id of the operation.
    pub operation: &'static str,
    /// The method.
    pub verb: Verb,
    /// The path; what stands in braces is the parameter of that name. Empty: the default one.
    chosen: &'static str,
    /// Parameters that this way in sets itself.
    pub fixed: &'static [(&'static str, bool)],
    /// Parameters that this way in does not take.
    pub without: &'static [&'static str],
    /// Parameters that this way in cannot do without, besides those of its path.
    pub needs: &'static [&'static str],
    /// The body may also be one new task by itself.
    pub one_task: bool,
    /// What its answer is turned into.
    pub answer: Answer,
}

const fn route(verb: Verb, path: &'static str, operation: &'static str, answer: Answer) -> Route {
    Route {
        operation,
        verb,
        chosen: path,
        fixed: &[],
        without: &[],
        needs: &[],
        one_task: false,
        answer,
    }
}

use Answer::{Created, Found, Only, Page, Plain, Run};
use Verb::{Delete, Get, Patch, Post};

/// The ways in that were chosen; every other operation has the default one.
static CHOSEN: &[Route] = &[
    Route { one_task: true, ..route(Post, "/v1/tasks", "tasks.create", Created) },
    Route { fixed: &[("page", true)], ..route(Get, "/v1/tasks", "tasks.list", Page) },
    route(Get, "/v1/tasks/count", "tasks.count", Plain),
    route(Get, "/v1/tasks/{task_id}", "tasks.get", Found),
    Route { without: &["updates"], ..route(Patch, "/v1/tasks/{task_id}", "tasks.update", Plain) },
    route(Delete, "/v1/tasks/{task_id}", "tasks.delete", Plain),
    route(Get, "/v1/tasks/{task_id}/detail", "tasks.detail", Found),
    route(Get, "/v1/tasks/{task_id}/tree", "tasks.tree", Plain),
    Route {
        without: &["parent_id"],
        ..route(Get, "/v1/tasks/{task_id}/children", "tasks.children", Plain)
    },
    Route {
        // A stream is asked for at `/tasks`, or followed at `/v1/events`.
        without: &["tasks", "options", "use_streaming"],
        ..route(Post, "/v1/tasks/{task_id}/execute", "tasks.execute", Run)
    },
    Route {
        without: &["task_id", "reexecute", "use_streaming"],
        needs: &["tasks"],
        ..route(Post, "/v1/runs", "tasks.execute", Run)
    },
    Route {
        without: &["task_ids"],
        ..route(Post, "/v1/tasks/{task_id}/cancel", "tasks.cancel", Only)
    },
    Route {
        without: &["task_id"],
        needs: &["task_ids"],
        ..route(Post, "/v1/cancellations", "tasks.cancel", Plain)
    },
    route(Post, "/v1/tasks/{task_id}/snapshots", "snapshots.create", Plain),
    route(Get, "/v1/tasks/{task_id}/snapshots", "snapshots.list", Plain),
    route(Post, "/v1/tasks/{task_id}/snapshots/{name}/restore", "snapshots.restore", Plain),
    route(Delete, "/v1/tasks/{task_id}/snapshots/{name}", "snapshots.delete", Plain),
    route(Get, "/v1/tasks/{task_id}/snapshots/{name}", "snapshots.export", Plain),
    route(Post, "/v1/snapshots", "snapshots.import", Plain),
    route(Get, "/v1/tasks/{task_id}/checkpoint", "checkpoints.get", Plain),
    route(Get, "/v1/tasks/{task_id}/attempts", "tasks.attempts", Plain),
    route(Get, "/v1/dead-letters", "dlq.list", Plain),
    route(Get, "/v1/dead-letters/{task_id}", "dlq.get", Plain),
    Route { without: &["id"], ..route(Post, "/v1/dead-letters/requeue", "dlq.requeue", Plain) },
    Route { without: &["id"], ..route(Post, "/v1/dead-letters/drop", "dlq.drop", Plain) },
    route(Get, "/v1/running", "tasks.running.list", Plain),
    route(Get, "/v1/running/count", "tasks.running.count", Plain),
    // A thousand ids do not fit into an address.
    Route {
        without: &["task_id"],
        needs: &["task_ids"],
        ..route(Post, "/v1/running/status", "tasks.running.status", Plain)
    },
    route(Post, "/v1/tasks/{task_id}/pause", "tasks.pause", Plain),
    route(Post, "/v1/tasks/{task_id}/resume", "tasks.resume", Plain),
    route(Get, "/v1/feedback", "feedback.list", Plain),
    route(Get, "/v1/feedback/{id}", "feedback.get", Plain),
    route(Post, "/v1/feedback/{id}/respond", "feedback.respond", Plain),
    route(Delete, "/v1/feedback/{id}", "feedback.cancel", Plain),
    route(Post, "/v1/events/publish", "events.publish", Plain),
    route(Get, "/v1/cost", "cost.report", Plain),
    route(Get, "/v1/budgets", "budgets.list", Plain),
    route(Post, "/v1/budgets", "budgets.set", Plain),
    route(Post, "/v1/tasks/{task_id}/budget-decision", "budgets.decide", Plain),
    route(Get, "/v1/tasks/{task_id}/channel", "channels.keys", Plain),
    route(Get, "/v1/system/health", "system.health", Plain),
    route(Get, "/v1/system/executors", "system.executors", Plain),
];

/// Every way in, with its operation, in the order of the catalogue.
pub fn routes() -> Vec<(&'static Operation, Route)> {
    let mut all = Vec::new();
    for operation in operations() {
        let before = all.len();
        let chosen = CHOSEN.iter().filter(|it| it.operation == operation.id);
        all.extend(chosen.map(|it| (operation, *it)));
        if all.len() == before {
            all.push((operation, route(Post, "", operation.id, Plain)));
        }
    }
    all
}

/// The parameter that a header carries instead of the body.
pub const KEY: &str = "idempotency_key";

impl Route {
    /// The path; what stands in braces is the parameter of that name.
    pub fn path(&self) -> Cow<'static, str> {
        match self.chosen {
            "" => Cow::Owned(format!("/v1/operations/{}", self.operation)),
            chosen => Cow::Borrowed(chosen),
        }
    }

    /// The names in the path, in their order.
    pub fn path_names(&self) -> impl Iterator<Item = &'static str> {
        self.chosen.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether the header `Idempotency-Key` means something here.
    pub fn takes_key(&self, operation: &Operation) -> bool {
        self.verb == Verb::Post
            && !self.without.contains(&KEY)
            && operation.input_schema()["properties"].get(KEY).is_some()
    }

    /// What is left for the query or the body once the path has its part: an exact JSON Schema.
    pub fn rest_schema(&self, operation: &Operation) -> Value {
        let mut schema = operation.input_schema();
        let elsewhere: Vec<String> = self
            .path_names()
            .chain(self.fixed.iter().map(|(name, _)| *name))
            .chain(self.without.iter().copied())
            .chain([KEY])
            .map(str::to_owned)
            .collect();
        let Some(object) = schema.as_object_mut() else { return schema };
        object.remove("title");
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.retain(|name, _| !elsewhere.contains(name));
        }
        let mut required: Vec<Value> = match object.remove("required") {
            Some(Value::Array(names)) => names,
            _ => Vec::new(),
        };
        required.extend(self.needs.iter().map(|name| json!(name)));
        required.retain(|name| !elsewhere.iter().any(|it| name == it));
        required.dedup();
        if !required.is_empty() {
            object.insert("required".to_owned(), Value::Array(required));
        }
        object.insert("additionalProperties".to_owned(), json!(false));
        if self.one_task { json!({ "oneOf": [shapes::task_in(), schema] }) } else { schema }
    }

    /// The schema of one parameter.
    pub fn parameter(operation: &Operation, name: &str) -> Value {
        operation.input_schema()["properties"][name].clone()
    }

    /// The schema of a good answer.
    pub fn answer_schema(&self, operation: &Operation) -> Value {
        let whole = operation.output_schema();
        match self.answer {
            Answer::Plain | Answer::Created | Answer::Run => whole,
            Answer::Page => shapes::page_of_tasks(),
            Answer::Only => whole["items"].clone(),
            Answer::Found => {
                let ways = whole["anyOf"].as_array().cloned().unwrap_or_default();
                let is_null = |way: &Value| way["type"] == "null";
                ways.into_iter().find(|way| !is_null(way)).unwrap_or(whole)
            }
        }
    }

    /// The parameters this way in sets itself.
    pub fn fixed_values(&self) -> Map<String, Value> {
        self.fixed.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Call;

    #[test]
    fn every_operation_has_a_way_in_and_no_two_share_one() {
        let all = routes();
        for operation in operations() {
            assert!(all.iter().any(|(it, _)| it.id == operation.id), "{}", operation.id);
        }
        let mut seen = BTreeSet::new();
        for (_, route) in &all {
            let shape = route.path().replace("{task_id}", "{}");
            assert!(
                seen.insert((route.verb, shape)),
                "{} {} twice",
                route.verb.as_str(),
                route.path()
            );
        }
    }

    #[test]
    fn a_way_in_names_an_operation_and_parameters_that_exist() {
        for route in CHOSEN {
            let operation = Operation::find(route.operation).expect(route.operation);
            let schema = operation.input_schema();
            let named = route
                .path_names()
                .chain(route.fixed.iter().map(|(name, _)| *name))
                .chain(route.without.iter().copied())
                .chain(route.needs.iter().copied());
            for name in named {
                let known = schema["properties"].get(name).is_some();
                assert!(known, "{} {}: `{name}`", route.verb.as_str(), route.path());
            }
        }
    }

    #[test]
    fn an_operation_without_a_way_of_its_own_has_the_default_one() {
        let chosen: BTreeSet<_> = CHOSEN.iter().map(|it| it.operation).collect();
        for (operation, route) in routes() {
            let default = format!("/v1/operations/{}", operation.id);
            assert_eq!(route.path() == default, !chosen.contains(operation.id), "{}", operation.id);
        }
    }

    #[test]
    fn a_parameter_has_one_place() {
        for (operation, route) in routes() {
            let rest = route.rest_schema(operation);
            let object = if route.one_task { &rest["oneOf"][1] } else { &rest };
            let names = object["properties"].as_object().expect("an object");
            for name in route.path_names() {
                assert!(!names.contains_key(name), "{}: `{name}` twice", route.path());
            }
            assert!(!names.contains_key(KEY), "{}: the key is a header", route.path());
            let required = object["required"].as_array().cloned().unwrap_or_default();
            for name in required {
                assert!(
                    names.contains_key(name.as_str().unwrap_or("")),
                    "{}: {name}",
                    route.path()
                );
            }
        }
    }

    #[test]
    fn what_goes_into_a_query_can_be_written_there() {
        for (operation, route) in routes().into_iter().filter(|(_, it)| !it.verb.has_body()) {
            let rest = route.rest_schema(operation);
            for (name, schema) in rest["properties"].as_object().expect("an object") {
                let text = schema["type"].to_string();
                let plain = ["string", "integer", "number", "boolean", "array"];
                assert!(plain.iter().any(|it| text.contains(it)), "{}: `{name}`", route.path());
                assert!(!text.contains("object"), "{}: `{name}`", route.path());
            }
        }
    }

    #[test]
    fn each_example_fits_a_way_in_or_is_an_older_shape_the_reader_takes() {
        for operation in operations() {
            for example in operation.examples {
                let params: Value = serde_json::from_str(example).expect(example);
                let fits = crate::schema::check(&operation.input_schema(), &params).is_ok();
                let alone = routes().iter().any(|(it, route)| {
                    it.id == operation.id
                        && route.one_task
                        && crate::schema::check(&route.rest_schema(it), &params).is_ok()
                });
                assert!(fits || alone, "{}: {example}", operation.id);
                assert!(Call::read(operation.id, params).is_ok());
            }
        }
    }
}
