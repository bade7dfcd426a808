//! Taking parameters out of a JSON object one by one, with an error that names the one that is wrong.

use serde_json::{Map, Value};

use super::ApiError;
use crate::id::{TaskId, check_id};

/// The parameters of one call that have not been taken yet.
pub(crate) struct Params {
    method: &'static str,
    left: Map<String, Value>,
}

impl Params {
    /// `null` and nothing are an empty object.
    pub(crate) fn new(method: &'static str, params: Value) -> Result<Self, ApiError> {
        match params {
            Value::Object(left) => Ok(Self { method, left }),
            Value::Null => Ok(Self { method, left: Map::new() }),
            Value::Array(_) => Err(ApiError::invalid(
                "params",
                "an object with named parameters",
                "an array; parameters by position are not supported",
            )),
            other => Err(ApiError::invalid("params", "an object", describe(&other))),
        }
    }

    /// The value under the first of `names` that has one; `null` counts as none.
    pub(crate) fn take(&mut self, names: &[&'static str]) -> Option<(&'static str, Value)> {
        let mut found = None;
        for &name in names {
            match self.left.remove(name) {
                None | Some(Value::Null) => {}
                Some(value) => found = found.or(Some((name, value))),
            }
        }
        found
    }

    /// Whether a parameter was given, `null` or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        match self.take(&[name]) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((_, other)) => Err(ApiError::invalid(name, "a text", describe(&other))),
        }
    }

    /// A text, or a number as it would be written.
    pub(crate) fn text_or_number(
        &mut self,
        name: &'static str,
    ) -> Result<Option<String>, ApiError> {
        match self.take(&[name]) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((_, Value::Number(number))) => Ok(Some(number.to_string())),
            Some((_, other)) => {
                Err(ApiError::invalid(name, "a text or a number", describe(&other)))
            }
        }
    }

    /// An id, under any of its names.
    pub(crate) fn id(&mut self, names: &[&'static str]) -> Result<Option<TaskId>, ApiError> {
        let Some((name, value)) = self.take(names) else { return Ok(None) };
        let Value::String(text) = value else {
            return Err(ApiError::invalid(name, "a task id (a text)", describe(&value)));
        };
        if text.is_empty() {
            return Ok(None);
        }
        one_id(name, text).map(Some)
    }

    /// Ids as an array, or as one text with commas.
    pub(crate) fn ids(&mut self, names: &[&'static str]) -> Result<Vec<TaskId>, ApiError> {
        const EXPECTED: &str = "an array of task ids, or one text with commas between them";
        let Some((name, value)) = self.take(names) else { return Ok(Vec::new()) };
        let texts: Vec<String> = match value {
            Value::String(text) => text
                .split(',')
                .map(|one| one.trim().to_owned())
                .filter(|one| !one.is_empty())
                .collect(),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(ApiError::invalid(name, EXPECTED, describe(&other))),
                })
                .collect::<Result<_, _>>()?,
            other => return Err(ApiError::invalid(name, EXPECTED, describe(&other))),
        };
        if texts.len() > MAX_IDS {
            let expected = format!("at most {MAX_IDS} ids");
            return Err(ApiError::invalid(name, expected, format!("{} ids", texts.len())));
        }
        texts.into_iter().map(|text| one_id(name, text)).collect()
    }

    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, ApiError> {
        match self.take(&[name]) {
            None => Ok(default),
            Some((_, Value::Bool(flag))) => Ok(flag),
            Some((_, other)) => Err(ApiError::invalid(name, "true or false", describe(&other))),
        }
    }

    /// A whole number from 0; what is above `most` becomes `most`.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        default: u32,
        most: u32,
    ) -> Result<u32, ApiError> {
        let Some((_, value)) = self.take(&[name]) else { return Ok(default) };
        let whole = |float: &f64| float.fract() == 0.0 && *float >= 0.0;
        // The guard leaves whole numbers from 0; what is above the range becomes its end.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let number = value.as_u64().or_else(|| value.as_f64().filter(whole).map(|it| it as u64));
        match number {
            Some(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX).min(most)),
            None => Err(ApiError::invalid(name, "a whole number from 0", describe(&value))),
        }
    }

    pub(crate) fn object(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Map<String, Value>>, ApiError> {
        match self.take(&[name]) {
            None => Ok(None),
            Some((_, Value::Object(object))) => Ok(Some(object)),
            Some((_, other)) => Err(ApiError::invalid(name, "an object", describe(&other))),
        }
    }

    /// Everything that has not been taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.left
    }

    /// A warning for each parameter that nobody took (ruling 34).
    pub(crate) fn warnings(self) -> Vec<String> {
        let method = self.method;
        self.left
            .keys()
            .map(|name| {
                format!("`{}` is not a parameter of {method} and was ignored", shorten(name))
            })
            .take(MAX_WARNINGS)
            .collect()
    }
}

/// More ids than this are several calls.
pub(crate) const MAX_IDS: usize = 1000;
/// Whoever sends a hundred unknown names need not read all of them.
const MAX_WARNINGS: usize = 20;

fn one_id(name: &'static str, text: String) -> Result<TaskId, ApiError> {
    match check_id(&text) {
        None => Ok(TaskId::new(text)),
        Some(why) => Err(ApiError::invalid(name, "a task id of 1 to 255 characters", why)),
    }
}

/// A value in few words: small ones as they are, large ones by kind.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => shorten(&value.to_string()),
        Value::String(text) => format!("\"{}\"", shorten(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(value: Value) -> Params {
        Params::new("tasks.x", value).expect("an object")
    }

    #[test]
    fn ids_come_as_an_array_or_with_commas() {
        let ids = |value| params(json!({"task_ids": value})).ids(&["task_ids", "context_ids"]);
        let want = vec![TaskId::new("a"), TaskId::new("b")];
        assert_eq!(ids(json!(["a", "b"])).ok(), Some(want.clone()));
        assert_eq!(ids(json!("a, b,")).ok(), Some(want));
        assert_eq!(ids(Value::Null).ok(), Some(vec![]));
        let error = ids(json!([1])).expect_err("1 is no id");
        assert_eq!(error.problems[0].field.as_deref(), Some("task_ids"));
    }

    #[test]
    fn the_first_alias_with_a_value_wins_and_none_is_left_over() {
        let mut given = params(json!({"task_id": null, "id": "a"}));
        assert_eq!(given.id(&["task_id", "id"]).ok(), Some(Some(TaskId::new("a"))));
        assert!(given.warnings().is_empty());
    }

    #[test]
    fn a_number_is_capped_above_and_refused_below_zero() {
        let limit = |value| params(json!({"limit": value})).number("limit", 100, 1000);
        assert_eq!(limit(json!(1_000_000_000_u64)).ok(), Some(1000));
        assert_eq!(limit(json!(5.0)).ok(), Some(5), "the same number in JSON");
        assert_eq!(limit(Value::Null).ok(), Some(100));
        for wrong in [json!(-1), json!("5"), json!(1.5), json!([])] {
            assert!(limit(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_took_is_told_without_control_characters() {
        let mut name = "x\u{1b}[31m".to_owned();
        name.push_str(&"y".repeat(500));
        let warnings = params(json!({ name: 1 })).warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].len() < 150 && !warnings[0].contains('\u{1b}'), "{warnings:?}");
    }
}
