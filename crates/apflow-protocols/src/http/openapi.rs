//! The OpenAPI 3.1 document of `/v1`, made from the catalogue.

use apflow_core::api::{
    Category, Operation,
    operation::route::{Answer, Route, routes},
};
use serde_json::{Map, Value, json};

use super::{problem, rest};

/// What the document says of the process besides the catalogue.
pub(super) struct Facts<'a> {
    /// Of apflow.
    pub(super) version: &'a str,
    /// Every request has to carry a credential.
    pub(super) authenticated: bool,
    /// `/v1/system` is there.
    pub(super) system: bool,
}

/// The whole document.
pub(super) fn document(facts: &Facts<'_>) -> Value {
    let mut parts = Parts::default();
    let mut paths = Map::new();
    for (operation, route) in routes() {
        if !facts.system && operation.category == Category::System {
            continue;
        }
        let described = parts.operation(operation, &route, facts);
        let path = paths.entry(route.path().into_owned()).or_insert_with(|| json!({}));
        path[route.verb.as_str().to_ascii_lowercase()] = described;
    }
    let problem = parts.hoisted(problem::schema());
    let tags: Vec<Value> = Category::ALL
        .into_iter()
        .filter(|category| facts.system || *category != Category::System)
        .map(|category| json!({ "name": category.as_str() }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "apflow",
            "version": facts.version,
            "summary": "Durable task orchestration",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": parts.schemas,
            "responses": refusals(&problem),
            "headers": headers(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer",
                    "description": "A JSON Web Token, or a token made by `apflow token create`."},
            },
        },
    })
}

const DESCRIPTION: &str = "Every operation of apflow as a resource. Bodies and answers are JSON in UTF-8; \
     errors are `application/problem+json`. A field or parameter that is not described here is refused. \
     Texts hold no U+0000, whole numbers fit 64 bits, and values nest at most 64 levels deep; what does \
     not is 422. The same operations are spoken as JSON-RPC 2.0 on `/tasks` and `/system`.";

/// Every status that says no, with what it is about here.
const REFUSALS: [(u16, &str, &str); 15] = [
    (400, "BadRequest", "The request does not fit this description."),
    (401, "Unauthorized", "There is no valid credential in it."),
    (
        403,
        "Forbidden",
        "The credential is not enough, or a `Host`, an `Origin` or an executor is not allowed.",
    ),
    (404, "NotFound", "There is no such task, or it is not yours."),
    (406, "NotAcceptable", "`Accept` leaves no room for JSON."),
    (408, "RequestTimeout", "The body did not come in time."),
    (409, "Conflict", "It cannot be done as things stand."),
    (413, "TooLarge", "The request, or a value in it, is too large."),
    (414, "AddressTooLong", "The path and the query together are too long."),
    (415, "UnsupportedMediaType", "The body does not call itself JSON."),
    (422, "Unprocessable", "It fits this description and says something that cannot be."),
    (429, "TooManyRequests", "The caller sends more than its share; see `Retry-After`."),
    (500, "InternalError", "Something went wrong inside apflow."),
    (503, "Unavailable", "The server is overloaded, stops, or has no database; see `Retry-After`."),
    (504, "TimedOut", "There was no answer in time; what was accepted goes on."),
];

fn refusals(problem: &Value) -> Value {
    let mut responses = Map::new();
    for (status, name, says) in REFUSALS {
        let mut response = json!({
            "description": says,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {problem::KIND: {"schema": problem}},
        });
        if [429, 503].contains(&status) {
            response["headers"]["Retry-After"] =
                json!({"$ref": "#/components/headers/Retry-After"});
        }
        responses.insert(name.to_owned(), response);
    }
    Value::Object(responses)
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {"description": "The number of the request, as in the log.",
            "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait.",
            "schema": {"type": "integer", "minimum": 1}},
        "Location": {"description": "Where the task is found.",
            "schema": {"type": "string", "format": "uri-reference"}},
    })
}

/// Schemas with a title become components, so that each is said once.
#[derive(Default)]
struct Parts {
    schemas: Map<String, Value>,
}

impl Parts {
    fn hoisted(&mut self, schema: Value) -> Value {
        self.hoisted_in(schema, None)
    }

    fn hoisted_in(&mut self, schema: Value, own: Option<&str>) -> Value {
        match schema {
            Value::Object(mut object) => {
                if object.get("$ref").is_some_and(|to| to == "#")
                    && let Some(own) = own
                {
                    return json!({ "$ref": own });
                }
                let title = match object.get("title") {
                    Some(Value::String(title)) if object.contains_key("properties") => {
                        title.clone()
                    }
                    _ => return Value::Object(self.entries(object, own)),
                };
                let place = format!("#/components/schemas/{title}");
                object.remove("title");
                let whole = Value::Object(self.entries(object, Some(&place)));
                self.schemas.insert(title, whole);
                json!({ "$ref": place })
            }
            Value::Array(items) => {
                items.into_iter().map(|item| self.hoisted_in(item, own)).collect()
            }
            other => other,
        }
    }

    fn entries(&mut self, object: Map<String, Value>, own: Option<&str>) -> Map<String, Value> {
        object.into_iter().map(|(name, value)| (name, self.hoisted_in(value, own))).collect()
    }

    fn operation(&mut self, operation: &Operation, route: &Route, facts: &Facts<'_>) -> Value {
        let mut described = json!({
            "operationId": operation_id(operation, route),
            "summary": operation.name,
            "description": operation.description,
            "tags": [operation.category.as_str()],
            "parameters": self.parameters(operation, route),
            "responses": self.responses(operation, route),
            "x-apflow-operation": operation.id,
            "x-apflow-module": operation.module,
            "x-apflow-annotations": {
                "readonly": operation.annotations.readonly,
                "destructive": operation.annotations.destructive,
                "idempotent": operation.annotations.idempotent,
                "open_world": operation.annotations.open_world,
            },
        });
        if facts.authenticated {
            described["security"] = json!([{"bearer": []}]);
        }
        if route.verb.has_body() {
            described["requestBody"] = self.body(operation, route);
        }
        described
    }

    fn parameters(&mut self, operation: &Operation, route: &Route) -> Value {
        let mut parameters: Vec<Value> = route
            .path_names()
            .map(|name| parameter(name, "path", true, Route::parameter(operation, name)))
            .collect();
        if route.takes_key(operation) {
            let schema = json!({ "type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$",
                "description": "Two requests with one key are one request." });
            parameters.push(parameter("Idempotency-Key", "header", false, schema));
        }
        if !route.verb.has_body() {
            let rest = route.rest_schema(operation);
            let required = rest["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in rest["properties"].as_object().into_iter().flatten() {
                let needed = required.iter().any(|it| it == name);
                parameters.push(parameter(name, "query", needed, never_null(schema.clone())));
            }
        }
        self.hoisted(Value::Array(parameters))
    }

    fn body(&mut self, operation: &Operation, route: &Route) -> Value {
        let schema = route.rest_schema(operation);
        // Without a required field an empty body says as much as `{}`.
        let required = route.one_task || schema.get("required").is_some();
        let contract = apflow_core::schema::Contract::new(schema.clone()).ok();
        let examples: Map<String, Value> = operation
            .examples
            .iter()
            .filter_map(|text| serde_json::from_str::<Value>(text).ok())
            .map(|mut example| {
                if let Some(object) = example.as_object_mut() {
                    object.retain(|name, _| !route.path_names().any(|it| it == name));
                }
                example
            })
            .filter(|example| contract.as_ref().is_some_and(|contract| contract.takes(example)))
            .enumerate()
            .map(|(place, example)| (format!("example-{}", place + 1), json!({ "value": example })))
            .collect();
        let mut content = json!({ "schema": self.hoisted(schema) });
        if !examples.is_empty() {
            content["examples"] = Value::Object(examples);
        }
        json!({ "required": required, "content": {"application/json": content} })
    }

    fn responses(&mut self, operation: &Operation, route: &Route) -> Value {
        let schema = self.hoisted(route.answer_schema(operation));
        let good = |says: &str, located: bool| {
            let mut response = json!({
                "description": says,
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
                "content": {"application/json": {"schema": schema}},
            });
            if located {
                response["headers"]["Location"] = json!({"$ref": "#/components/headers/Location"});
            }
            response
        };
        let mut responses = Map::new();
        match route.answer {
            Answer::Created => {
                responses.insert("201".to_owned(), good("It is stored.", true));
            }
            Answer::Run => {
                responses.insert("200".to_owned(), good("The run has ended.", true));
                responses.insert("202".to_owned(), good("The run has begun.", true));
            }
            _ => {
                responses.insert("200".to_owned(), good("It is done.", false));
            }
        }
        for (status, name, _) in REFUSALS {
            let place = format!("#/components/responses/{name}");
            responses.insert(status.to_string(), json!({ "$ref": place }));
        }
        Value::Object(responses)
    }
}

fn operation_id(operation: &Operation, route: &Route) -> String {
    let several = routes().iter().filter(|(it, _)| it.id == operation.id).count() > 1;
    let mut id = operation.id.to_owned();
    if several && route.path_names().next().is_none() {
        id.push_str(".many");
    }
    id
}

fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|object| object.remove("description"));
    let mut parameter =
        json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

/// A query has no `null`: what is left out is not there.
fn never_null(mut schema: Value) -> Value {
    if schema["type"].is_array() {
        schema["type"] = json!(rest::kind(&schema));
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use apflow_core::api::operation::operations;

    use super::*;

    fn whole() -> Value {
        document(&Facts { version: "1", authenticated: true, system: true })
    }

    fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    see(name, value);
                    walk(value, see);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_is_described_under_an_id_of_its_own() {
        let document = whole();
        let mut ids = BTreeSet::new();
        let mut told = BTreeSet::new();
        walk(&document["paths"], &mut |name, value| match (name, value.as_str()) {
            ("operationId", Some(id)) => assert!(ids.insert(id), "{id} twice"),
            ("x-apflow-operation", Some(id)) => {
                told.insert(id);
            }
            _ => {}
        });
        assert_eq!(told, operations().map(|it| it.id).collect());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = whole();
        walk(&document, &mut |name, value| {
            if name == "$ref" {
                let to = value.as_str().expect("a text");
                let way = to.strip_prefix('#').expect("inside the document");
                assert!(!way.is_empty() && document.pointer(way).is_some(), "{to}");
            }
        });
        assert_eq!(
            document["components"]["schemas"]["Tree"]["properties"]["children"]["items"]["$ref"],
            "#/components/schemas/Tree"
        );
    }

    #[test]
    fn a_schema_with_a_title_is_said_once_and_means_one_thing() {
        let mut seen: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
        for operation in operations() {
            for schema in [operation.input_schema(), operation.output_schema()] {
                let mut titled = vec![&schema];
                walk(&schema, &mut |_, value| titled.push(value));
                for value in titled.into_iter().filter(|value| value.get("properties").is_some()) {
                    if let Some(title) = value["title"].as_str() {
                        let first = seen.entry(title.to_owned()).or_insert_with(|| value.clone());
                        assert_eq!(first, value, "two schemas are called {title}");
                    }
                }
            }
        }
        assert!(seen.contains_key("Task") && seen.contains_key("NewTask"), "{:?}", seen.keys());
    }

    #[test]
    fn each_post_that_has_an_example_shows_it() {
        let document = whole();
        let body = &document["paths"]["/v1/tasks"]["post"]["requestBody"];
        let examples = body["content"]["application/json"]["examples"].as_object();
        assert_eq!(examples.map(Map::len), Some(2), "{body}");
    }

    #[test]
    fn a_credential_is_asked_for_only_where_one_is_checked() {
        let open = document(&Facts { version: "1", authenticated: false, system: false });
        assert!(open["paths"]["/v1/tasks"]["get"].get("security").is_none());
        assert!(open["paths"].get("/v1/system/health").is_none());
        let closed = whole();
        assert_eq!(closed["paths"]["/v1/tasks"]["get"]["security"], json!([{"bearer": []}]));
    }
}
