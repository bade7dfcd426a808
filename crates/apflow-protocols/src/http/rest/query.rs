//! What stands behind the question mark, as the values the schema asks for.

use apflow_core::{api::ApiError, problem::nearest};
use serde_json::{Map, Value};

/// Reads a query; every name must be known, and only an array may come more than once.
pub(super) fn read(query: &str, schema: &Value) -> Result<Map<String, Value>, ApiError> {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    let mut read = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            let detail =
                "the query is not UTF-8 text, or has a broken `%`, or the character U+0000";
            return Err(ApiError::refused(apflow_core::code::Code::InvalidParams, "query", detail));
        };
        let Some(schema) = known.get(&name) else {
            return Err(unknown(&name, known.keys().map(String::as_str)));
        };
        if kind(schema) == "array" {
            let item = value_of(&name, &value, &schema["items"])?;
            let items = read.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(items) = items.as_array_mut() {
                items.push(item);
            }
        } else if read.contains_key(&name) {
            return Err(ApiError::invalid(&name, "one value", "given twice"));
        } else {
            let value = value_of(&name, &value, schema)?;
            read.insert(name, value);
        }
    }
    Ok(read)
}

/// The refusal of a parameter that nobody takes, naming the nearest (ruling 34).
pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> ApiError {
    let known: Vec<&str> = known.into_iter().collect();
    let expected = match known.as_slice() {
        [] => "no parameters in the query".to_owned(),
        names => format!("one of {}", names.join(", ")),
    };
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let name: String = name.chars().filter(|letter| !letter.is_control()).take(60).collect();
    let error = ApiError::invalid(&name, expected, "a parameter that nobody takes");
    match near {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The first kind of value that a schema allows besides `null`.
pub(in crate::http) fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("string")
        }
        _ => "string",
    }
}

fn value_of(name: &str, text: &str, schema: &Value) -> Result<Value, ApiError> {
    let told = || format!("\"{}\"", text.chars().take(60).collect::<String>().escape_debug());
    let wrong = |expected: &str| ApiError::invalid(name, expected, told());
    match kind(schema) {
        "boolean" => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong("true or false")),
        },
        "integer" => {
            let plain = !text.starts_with('+');
            text.parse::<i64>()
                .ok()
                .filter(|_| plain)
                .map(Value::from)
                .ok_or_else(|| wrong("a whole number"))
        }
        "number" => text
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| wrong("a number")),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// The text behind `%` and `+`; none if it is no text.
pub(in crate::http) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex = std::str::from_utf8(after.get(..2)?).ok()?;
                if hex.starts_with('+') {
                    return None;
                }
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest = after.get(2..)?;
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({ "properties": {
            "limit": {"type": ["integer", "null"]}, "root_only": {"type": "boolean"},
            "user_id": {"type": ["string", "null"]},
            "statuses": {"type": ["array", "null"], "items": {"type": "string"}},
        } })
    }

    #[test]
    fn values_get_the_kind_their_schema_names() {
        let query = "limit=10&root_only=false&user_id=a%20b+c%C3%A9&statuses=x&statuses=y";
        assert_eq!(
            read(query, &schema()).map(Value::Object).expect("a good query"),
            json!({"limit": 10, "root_only": false, "user_id": "a b cé", "statuses": ["x", "y"]})
        );
        assert!(read("", &schema()).expect("nothing").is_empty());
    }

    #[test]
    fn a_wrong_value_and_a_second_one_name_the_parameter() {
        for (query, field) in [
            ("limit=x", "limit"),
            ("limit=1.5", "limit"),
            ("limit=+1", "limit"),
            ("limit=", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=1&limit=2", "limit"),
            ("root_only=yes", "root_only"),
            ("user_id=%ff", "query"),
            ("user_id=%0", "query"),
            ("user_id=%+1", "query"),
            ("user_id=a%00b", "query"),
        ] {
            let error = read(query, &schema()).expect_err(query);
            assert_eq!(error.problems[0].field.as_deref(), Some(field), "{query}");
        }
    }

    #[test]
    fn v1_a_name_that_nobody_knows_is_refused_with_the_nearest_one() {
        let error = read("limt=1", &schema()).expect_err("no such parameter");
        assert_eq!(error.hint.as_deref(), Some("did you mean `limit`?"));
        for query in ["sort=id;DROP%20TABLE", "x')%20OR%20'1'='1=1", "status=1"] {
            assert!(read(query, &schema()).is_err(), "{query}");
        }
    }
}
