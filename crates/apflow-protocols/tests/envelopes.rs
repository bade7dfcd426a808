//! Envelopes that nobody would write: each request gets the one answer it asks for, and none is a 500.

use std::time::Duration;

use apflow_core::api::{Caller, Gateway, operation::operations};
use apflow_protocols::{
    adapter::ProtocolAdapter as _,
    jsonrpc::{Answer, Errors, JsonRpc, Message, Surface},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::real;

/// Any JSON of a few levels, small numbers and large ones.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[^\u{0}]{0,12}".prop_map(Value::from),
        prop_oneof![Just("a"), Just("pending"), Just("2.0"), Just("")].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Keys that mean something, and any others.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "task_id",
        "id",
        "tasks",
        "name",
        "updates",
        "status",
        "limit",
        "offset",
        "parent_id",
        "dependencies",
        "inputs",
        "user_id",
        "options",
        "idempotency_key",
        "wait",
        "page",
        "task_ids",
        "force",
        "error_message",
        "statuses",
        "priority",
    ];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => "[^\u{0}]{0,8}",
    ]
}

fn method() -> impl Strategy<Value = Value> {
    let known: Vec<&str> = operations().map(|it| it.id).collect();
    prop_oneof![6 => prop::sample::select(known).prop_map(Value::from), 1 => anything()]
}

/// Something like a request: every part may be there, missing, or strange.
fn request() -> impl Strategy<Value = Value> {
    let part = |usual: Value| prop_oneof![3 => Just(Some(usual)), 1 => Just(None), 1 => anything().prop_map(Some)];
    let parts = (
        part(json!("2.0")),
        part(json!(1)),
        prop::option::weighted(0.95, method()),
        prop::option::weighted(
            0.9,
            prop_oneof![
                3 => prop::collection::vec((key(), anything()), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
                1 => anything(),
            ],
        ),
    );
    let envelope = parts.prop_map(|(version, id, method, params)| {
        let named = [("jsonrpc", version), ("id", id), ("method", method), ("params", params)];
        let parts = named.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
        Value::Object(parts.collect::<Map<_, _>>())
    });
    prop_oneof![9 => envelope, 1 => anything()]
}

async fn answer(gateway: &Gateway, adapter: JsonRpc, request: Value) -> Answer {
    let (envelope, call) = match adapter.decode(request) {
        Ok(decoded) => decoded,
        Err(answer) => return answer,
    };
    let outcome = gateway.call(&Caller::local(), call).await;
    adapter.encode(envelope, outcome)
}

/// What a request may expect: an answer with this id, or none.
fn expected_id(request: &Value) -> Option<Value> {
    let Some(object) = request.as_object() else { return Some(Value::Null) };
    match object.get("id") {
        Some(id @ (Value::Null | Value::String(_) | Value::Number(_))) => Some(id.clone()),
        Some(_) => Some(Value::Null),
        None if object.contains_key("jsonrpc") => None,
        None => Some(Value::Null),
    }
}

#[test]
fn no_envelope_is_a_500_and_each_id_has_one_answer() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let (gateway, _worker) = runtime.block_on(real::gateway(Duration::from_millis(20)));
    let config =
        ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let checked = runner.run(&prop::collection::vec(request(), 1..4), |requests| {
        for surface in [Surface::Root, Surface::Tasks, Surface::System] {
            let adapter = JsonRpc { surface, errors: Errors::Documented };
            for request in &requests {
                let Ok(Message::One(request)) = Message::read(request.to_string().as_bytes())
                else {
                    continue;
                };
                let want = expected_id(&request);
                let answer = runtime.block_on(answer(&gateway, adapter, request.clone()));
                // A run that is waited for may take longer than this test has time for.
                prop_assert!(answer.status < 500 || answer.status == 504, "{request}: {answer:?}");
                let Some(body) = answer.body else {
                    prop_assert_eq!(want, None, "{}", request);
                    continue;
                };
                prop_assert_eq!(&body["jsonrpc"], &json!("2.0"));
                let one = body.get("result").is_some() != body.get("error").is_some();
                prop_assert!(one, "{}", body);
                // A request that is none cannot be known to be a notification.
                let none = body["error"]["code"] == -32600;
                prop_assert!(want.as_ref() == Some(&body["id"]) || none, "{request} -> {body}");
            }
        }
        Ok(())
    });
    checked.expect("every envelope has its answer");
}

proptest! {
    #[test]
    fn no_bytes_at_all_are_more_than_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Message::read(&bytes) {
            prop_assert!((400..500).contains(&error.code.http()), "{error:?}");
        }
    }
}
