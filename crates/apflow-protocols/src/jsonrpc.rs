//! JSON-RPC 2.0 as the Python clients speak it on `/tasks` and `/system`; pure.

use apflow_core::{
    api::{ApiError, Call, Reply},
    code::Code,
};
use serde_json::{Map, Value, json};

use crate::{adapter::ProtocolAdapter, json};

/// The most requests of one batch.
pub const MAX_BATCH: usize = 100;

/// Which of the two endpoints it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `/tasks`.
    Tasks,
    /// `/system`.
    System,
}

impl Surface {
    fn serves(self, method: &str) -> bool {
        let prefixes: &[&str] = match self {
            Self::Tasks => &["tasks."],
            Self::System => &["system.", "config."],
        };
        prefixes.iter().any(|prefix| method.starts_with(prefix))
    }

    /// The text of the Python server for a method that does not exist.
    fn unknown(self, method: &str) -> ApiError {
        let kind = match self {
            Self::Tasks => "task",
            Self::System => "system",
        };
        let method: String = method.chars().filter(|c| !c.is_control()).take(100).collect();
        ApiError::new(Code::UnknownMethod, format!("Unknown {kind} method: {method}"))
            .hint("GET /tasks/methods lists what there is")
    }
}

/// The adapter of one endpoint.
#[derive(Debug, Clone, Copy)]
pub struct JsonRpc {
    /// The endpoint.
    pub surface: Surface,
}

/// What of a request its response needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The id as it came; none: nobody wants a response.
    id: Option<Value>,
    /// What was ignored.
    warnings: Vec<String>,
}

/// The response to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status of the request if it came alone.
    pub status: u16,
    /// The response object; none for a notification.
    pub body: Option<Value>,
}

/// The content of one body.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A request.
    One(Value),
    /// Several.
    Batch(Vec<Value>),
}

impl Message {
    /// Reads a body; one that cannot be read already is an answer.
    pub fn read(bytes: &[u8]) -> Result<Self, Answer> {
        let value = json::read(bytes).map_err(|error| refusal(&Value::Null, &error))?;
        let Value::Array(items) = value else { return Ok(Self::One(value)) };
        let wrong = match items.len() {
            0 => "a batch must have at least one request".to_owned(),
            1..=MAX_BATCH => return Ok(Self::Batch(items)),
            count => format!("a batch may have {MAX_BATCH} requests, and this one has {count}"),
        };
        Err(refusal(&Value::Null, &ApiError::new(Code::InvalidRequest, wrong)))
    }
}

impl ProtocolAdapter for JsonRpc {
    type Request = Value;
    type Response = Answer;
    type Envelope = Envelope;
    const NAME: &'static str = "jsonrpc";

    fn decode(&self, request: Value) -> Result<(Envelope, Call), Answer> {
        let Value::Object(mut request) = request else {
            return Err(invalid(&Value::Null, "a request must be an object"));
        };
        let id = request_id(&mut request)?;
        let echoed = id.clone().unwrap_or(Value::Null);
        if request.get("jsonrpc").is_some_and(|version| version != "2.0") {
            return Err(invalid(&echoed, "`jsonrpc` must be \"2.0\""));
        }
        let Some(Value::String(method)) = request.remove("method") else {
            return Err(invalid(&echoed, "`method` is missing or is not a text"));
        };
        let params = request.remove("params").unwrap_or_default();
        let read = if self.surface.serves(&method) {
            Call::read(&method, params)
        } else {
            Err(self.surface.unknown(&method))
        };
        match read {
            Ok(read) => Ok((Envelope { id, warnings: read.warnings }, read.call)),
            Err(error) if error.code == Code::UnknownMethod => {
                Err(unless_notified(id.as_ref(), &self.surface.unknown(&method)))
            }
            Err(error) => Err(unless_notified(id.as_ref(), &error)),
        }
    }

    fn encode(&self, envelope: Envelope, answer: Result<Reply, ApiError>) -> Answer {
        let Envelope { id, mut warnings } = envelope;
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => return unless_notified(id.as_ref(), &error),
        };
        let Some(id) = id else { return SILENCE };
        warnings.extend_from_slice(reply.warnings());
        let mut body = json!({ "jsonrpc": "2.0", "id": id, "result": reply.json() });
        if !warnings.is_empty() {
            // A member of its own beside `result`: results may be arrays, and clients know their keys.
            body["warnings"] = json!(warnings);
        }
        Answer { status: 200, body: Some(body) }
    }
}

/// The answer to a notification.
const SILENCE: Answer = Answer { status: 204, body: None };

/// The id to answer with, if an answer is wanted.
///
/// A request of version 2.0 without an id is a notification. One that names no version is an old
/// client's, and those are answered with `"id": null`, as the Python server did.
fn request_id(request: &mut Map<String, Value>) -> Result<Option<Value>, Answer> {
    match request.remove("id") {
        Some(id @ (Value::Null | Value::String(_) | Value::Number(_))) => Ok(Some(id)),
        Some(_) => Err(invalid(&Value::Null, "`id` must be a text, a number or null")),
        None if request.contains_key("jsonrpc") => Ok(None),
        None => Ok(Some(Value::Null)),
    }
}

fn invalid(id: &Value, detail: &str) -> Answer {
    refusal(id, &ApiError::new(Code::InvalidRequest, detail))
}

fn unless_notified(id: Option<&Value>, error: &ApiError) -> Answer {
    id.map_or(SILENCE, |id| refusal(id, error))
}

/// The answer that says why there is none.
pub fn refusal(id: &Value, error: &ApiError) -> Answer {
    Answer { status: error.code.http(), body: Some(error_body(id, error)) }
}

/// The error envelope; the one place that shapes it.
pub fn error_body(id: &Value, error: &ApiError) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": { "code": error.code.rpc(), "message": error.message(), "data": error.data() },
    })
}

#[cfg(test)]
mod tests {
    use apflow_core::api::operation::operations;

    use super::*;

    const TASKS: JsonRpc = JsonRpc { surface: Surface::Tasks };
    const SYSTEM: JsonRpc = JsonRpc { surface: Surface::System };

    fn error(adapter: JsonRpc, request: Value) -> (u16, Value) {
        let answer = adapter.decode(request).expect_err("a refusal");
        (answer.status, answer.body.expect("a body"))
    }

    #[test]
    fn every_operation_survives_the_adapter_it_belongs_to_and_no_other() {
        for operation in operations() {
            let of_tasks = operation.id.starts_with("tasks.");
            let (right, wrong) = if of_tasks { (TASKS, SYSTEM) } else { (SYSTEM, TASKS) };
            for example in operation.examples {
                let params: Value = serde_json::from_str(example).expect("an example is JSON");
                let request = json!({"jsonrpc": "2.0", "id": 1, "method": operation.id,
                    "params": params});
                let (envelope, call) = right.decode(request.clone()).expect(operation.id);
                let read = Call::read(operation.id, params).expect(operation.id);
                assert_eq!((call, envelope.warnings), (read.call, read.warnings));
                assert_eq!(error(wrong, request).1["error"]["code"], -32601);
            }
        }
    }

    #[test]
    fn ids_are_echoed_with_their_kind() {
        for id in [json!("a"), json!(7), json!(1.5), Value::Null, json!(9_007_199_254_740_993_u64)]
        {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "tasks.list"});
            let (envelope, _) = TASKS.decode(request).expect("a list");
            let body = TASKS.encode(envelope, Ok(Reply::Tasks(vec![]))).body;
            assert_eq!(body, Some(json!({"jsonrpc": "2.0", "id": id, "result": []})));
        }
        for id in [json!(true), json!([1]), json!({})] {
            let (status, body) = error(TASKS, json!({"id": id, "method": "tasks.list"}));
            assert_eq!((status, &body["error"]["code"]), (400, &json!(-32600)));
            assert_eq!(body["id"], Value::Null);
        }
    }

    #[test]
    fn a_notification_is_never_answered_and_an_old_request_without_id_is() {
        let request = json!({"jsonrpc": "2.0", "method": "tasks.list"});
        let (envelope, _) = TASKS.decode(request).expect("a list");
        assert_eq!(TASKS.encode(envelope.clone(), Ok(Reply::Tasks(vec![]))), SILENCE);
        assert_eq!(TASKS.encode(envelope, Err(ApiError::no_such_task("x"))), SILENCE);
        let unknown = TASKS.decode(json!({"jsonrpc": "2.0", "method": "tasks.nope"}));
        assert_eq!(unknown, Err(SILENCE));
        let (envelope, _) = TASKS.decode(json!({"method": "tasks.list"})).expect("a list");
        let body = TASKS.encode(envelope, Ok(Reply::Tasks(vec![]))).body.expect("a body");
        assert_eq!(body["id"], Value::Null);
    }

    #[test]
    fn an_unknown_method_is_told_in_the_words_of_the_python_server() {
        let (status, body) = error(TASKS, json!({"id": 1, "method": "tasks.nope"}));
        assert_eq!(status, 400);
        assert_eq!(body["error"]["code"], -32601);
        assert_eq!(body["error"]["message"], "Method not found");
        assert_eq!(body["error"]["data"]["detail"], "Unknown task method: tasks.nope");
        let (_, body) = error(SYSTEM, json!({"id": 1, "method": "tasks.list"}));
        assert_eq!(body["error"]["data"]["detail"], "Unknown system method: tasks.list");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for request in [
            json!(1),
            json!("x"),
            Value::Null,
            json!({"id": 1}),
            json!({"id": 1, "method": 1}),
            json!({"id": 1, "jsonrpc": "1.0", "method": "tasks.list"}),
            json!({"id": 1, "jsonrpc": 2.0, "method": "tasks.list"}),
        ] {
            let (status, body) = error(TASKS, request.clone());
            assert_eq!((status, &body["error"]["code"]), (400, &json!(-32600)), "{request}");
            assert_eq!(body["error"]["message"], "Invalid Request");
        }
    }

    #[test]
    fn parameters_by_position_are_refused_but_for_an_array_of_tasks() {
        let request = json!({"id": 1, "method": "tasks.get", "params": ["a"]});
        let (status, body) = error(TASKS, request);
        assert_eq!((status, &body["error"]["code"]), (400, &json!(-32602)));
        let request = json!({"id": 1, "method": "tasks.create", "params": [{"name": "a"}]});
        assert!(TASKS.decode(request).is_ok());
    }

    #[test]
    fn a_body_is_one_request_or_a_bounded_batch() {
        let code = |bytes: &[u8]| match Message::read(bytes) {
            Ok(_) => 0,
            Err(answer) => answer.body.map_or(1, |body| {
                assert_eq!(body["id"], Value::Null);
                body["error"]["code"].as_i64().unwrap_or(2)
            }),
        };
        assert_eq!(code(b"{"), -32700);
        assert_eq!(code(b"[]"), -32600);
        assert_eq!(code(b"[1]"), 0);
        assert_eq!(code(format!("[{}1]", "1,".repeat(99)).as_bytes()), 0);
        assert_eq!(code(format!("[{}1]", "1,".repeat(100)).as_bytes()), -32600);
    }

    #[test]
    fn a_warning_stands_beside_the_result() {
        let request = json!({"id": 1, "method": "tasks.list", "params": {"colour": 1}});
        let (envelope, _) = TASKS.decode(request).expect("a list");
        let body = TASKS.encode(envelope, Ok(Reply::Tasks(vec![]))).body.expect("a body");
        assert_eq!(body["result"], json!([]));
        assert!(body["warnings"][0].as_str().is_some_and(|text| text.contains("colour")));
    }
}
