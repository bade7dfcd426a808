//! Whether a value fits a JSON Schema.

use serde_json::Value;

/// Checks `instance` against `schema`; the text names what does not fit.
pub fn check(schema: &Value, instance: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| format!("the schema cannot be used: {error}"))?;
    validator.validate(instance).map_err(|error| format!("{}: {error}", error.instance_path()))
}
