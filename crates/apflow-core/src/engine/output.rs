//! Whether a value can be stored, checked once before it leaves the attempt.

use serde_json::Value;

/// Why `value` cannot be stored, or `None` if it can.
///
/// The size is counted roughly, at least what the texts take; storage has the exact limit.
pub(super) fn refuse(value: &Value, max_depth: usize, max_bytes: usize) -> Option<String> {
    let mut bytes = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > max_depth {
            return Some(format!("it nests deeper than {max_depth} levels"));
        }
        bytes += 2;
        match value {
            Value::String(text) => {
                if text.contains('\0') {
                    return Some("it contains the character U+0000".to_owned());
                }
                bytes += text.len();
            }
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => {
                for (key, field) in fields {
                    if key.contains('\0') {
                        return Some("a key in it contains the character U+0000".to_owned());
                    }
                    bytes += key.len() + 3;
                    open.push((field, depth + 1));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if bytes > max_bytes {
            return Some(format!("it is larger than {max_bytes} bytes"));
        }
    }
    None
}

/// Drops a value however deep it is; dropping a very deep one the usual way overflows the stack.
pub(super) fn dismantle(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, field)| field)),
            _ => {}
        }
    }
}

/// A sentence of somebody else's that every database can store: no U+0000, not endless.
pub(super) fn storable_sentence(message: String) -> String {
    const MOST: usize = 64 << 10;
    let mut message =
        if message.contains('\0') { message.replace('\0', "\u{fffd}") } else { message };
    if message.len() > MOST {
        let end = (0..=MOST).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push_str(" [cut]");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!(1), |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn a_result_may_be_64_levels_deep_and_no_deeper() {
        assert_eq!(refuse(&nested(64), 64, 1_000), None);
        assert!(refuse(&nested(65), 64, 1_000).is_some_and(|why| why.contains("64 levels")));
    }

    #[test]
    fn a_nul_in_a_text_or_a_key_is_refused() {
        assert!(refuse(&json!({"a": ["b\0"]}), 64, 1_000).is_some());
        assert!(refuse(&json!({"a\0": 1}), 64, 1_000).is_some());
        assert_eq!(refuse(&json!({"a": "\\u0000"}), 64, 1_000), None, "only words about it");
    }

    #[test]
    fn a_result_over_the_limit_is_refused() {
        assert_eq!(refuse(&json!("x".repeat(90)), 64, 100), None);
        assert!(refuse(&json!("x".repeat(101)), 64, 100).is_some());
    }

    #[test]
    fn a_value_of_any_depth_can_be_dropped() {
        dismantle(nested(200_000));
    }

    #[test]
    fn a_sentence_is_freed_of_what_no_database_stores() {
        assert_eq!(storable_sentence("a\0b".to_owned()), "a\u{fffd}b");
        let long = storable_sentence("é".repeat(100_000));
        assert!(long.ends_with(" [cut]") && long.len() < 70_000);
    }
}
