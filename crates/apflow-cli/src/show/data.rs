//! Values as JSON, YAML and plain fields.

use serde_json::Value;

use crate::error::CliError;

/// JSON for people and programs: indented.
pub(crate) fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// YAML.
pub(crate) fn yaml(value: &Value) -> Result<String, CliError> {
    serde_saphyr::to_string(value)
        .map_err(|error| CliError::internal(format!("this cannot be written as YAML: {error}")))
}

/// A value in a cell or a line: texts as they are, everything else as JSON.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A key and its value: `key=value`, where a value that is JSON is taken as JSON.
pub(crate) fn assignment(text: &str, flag: &str) -> Result<(String, Value), CliError> {
    let (key, value) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            CliError::usage(format!("{flag} takes KEY=VALUE, and `{text}` is something else"))
                .help(format!("{flag} name=value"))
        })?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_that_is_json_is_taken_as_json() {
        let read = |text| assignment(text, "-i").ok().map(|(_, value)| value);
        assert_eq!(read("n=3"), Some(json!(3)));
        assert_eq!(read("n=three"), Some(json!("three")));
        assert_eq!(read("n=a=b"), Some(json!("a=b")));
        assert_eq!(read("n=[1,{\"a\":null}]"), Some(json!([1, {"a": null}])));
        assert_eq!(read("n="), Some(json!("")));
        assert_eq!(read("n"), None);
        assert_eq!(read("=3"), None);
    }
}
