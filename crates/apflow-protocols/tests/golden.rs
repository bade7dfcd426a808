//! The wire files: requests and the exact answers a client gets, one server per file.
//!
//! In an expected answer `"*"` stands for any value, and an object with the key `"..."` may have more
//! keys than it names.

use apflow_core::{api::Operation, schema::Contract};
use serde_json::{Map, Value};

use crate::{
    client::{exchange, post},
    server,
};

fn agrees(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(want), Value::Object(got)) => same_object(want, got),
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| agrees(want, got))
        }
        _ => want == got,
    }
}

fn same_object(want: &Map<String, Value>, got: &Map<String, Value>) -> bool {
    let open = want.contains_key("...");
    let named = || want.iter().filter(|(key, _)| *key != "...");
    named().all(|(key, want)| got.get(key).is_some_and(|got| agrees(want, got)))
        && (open || got.len() == named().count())
}

/// A result fits the schema that the catalogue gives for it.
fn as_the_catalogue_says(request: &Value, got: &Value, says: &str) {
    let known = |name| Operation::find(name).filter(|operation| operation.id == name);
    let method = request["method"].as_str().and_then(known);
    let (Some(operation), Some(result)) = (method, got.get("result")) else { return };
    let contract = Contract::new(operation.output_schema()).expect("a schema");
    let faults = contract.faults(result);
    assert!(faults.is_empty(), "{says}: {} answers {result:#}\n{faults:?}", operation.id);
}

async fn play(file: &str, text: &str) {
    let steps: Vec<Value> = serde_json::from_str(text).expect(file);
    assert!(!steps.is_empty(), "{file}");
    let server = server::start(server::short()).await;
    for step in steps {
        let says = step["says"].as_str().expect("each step says what it shows");
        let path = step["path"].as_str().unwrap_or("/tasks");
        let body = match &step["body"] {
            Value::String(raw) => raw.clone(),
            Value::Null => step["request"].to_string(),
            other => panic!("{file}: {says}: body is a text, not {other}"),
        };
        let response = exchange(server.at, &post(path, "", &body)).await;
        let status = step["status"].as_u64().unwrap_or(200);
        assert_eq!(u64::from(response.status), status, "{file}: {says}: {}", response.body);
        if step["response"].is_null() {
            assert_eq!(response.body, "", "{file}: {says}");
        } else {
            let (want, got) = (&step["response"], response.json());
            assert!(agrees(want, &got), "{file}: {says}\nwant {want:#}\ngot {got:#}");
            as_the_catalogue_says(&step["request"], &got, says);
        }
    }
}

macro_rules! golden {
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            let file = concat!("golden/jsonrpc/", stringify!($name), ".json");
            play(file, include_str!(concat!("golden/jsonrpc/", stringify!($name), ".json"))).await;
        })*

        #[test]
        fn no_wire_file_is_forgotten() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/jsonrpc");
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            found.sort();
            let mut played = vec![$(concat!(stringify!($name), ".json")),*];
            played.sort_unstable();
            assert_eq!(found, played);
        }
    };
}

golden! { batch change clone create envelope errors execute idempotency read running schedule system }
