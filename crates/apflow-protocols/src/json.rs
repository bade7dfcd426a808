//! Reading JSON from strangers: bounded depth, no U+0000, and no number that would change.

use apflow_core::{api::ApiError, code::Code};
use serde_json::Value;

/// The deepest nesting that is read, the envelope included.
pub const MAX_DEPTH: usize = 64;

/// Reads one JSON document.
///
/// One look at the bytes comes first, because what it refuses must not reach the parser: a depth that
/// would cost stack, and whole numbers that would silently turn into floating ones.
pub fn read(bytes: &[u8]) -> Result<Value, ApiError> {
    if let Err(why) = scan(bytes) {
        return Err(ApiError::new(Code::InvalidRequest, why));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        ApiError::new(Code::NotJson, format!("the body is not JSON: {} ({place})", kind(&error)))
            .hint("send one UTF-8 JSON document without a byte order mark")
    })
}

/// The kind of the error; the parser's own text may repeat what was sent.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is not well-formed",
    }
}

fn scan(bytes: &[u8]) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string(bytes, at + 1)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("the body nests deeper than {MAX_DEPTH} levels"));
                }
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'0'..=b'9' => at = number(bytes, at)?,
            _ => at += 1,
        }
    }
    Ok(())
}

/// Walks to the end of a string; returns the place after it.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, String> {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return Ok(at + 1),
            b'\\' if bytes[at + 1..].starts_with(b"u0000") => {
                return Err("a text contains the character U+0000, which cannot be stored".into());
            }
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Ok(at)
}

/// Walks to the end of a number; returns the place after it.
fn number(bytes: &[u8], start: usize) -> Result<usize, String> {
    let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let end = bytes[start..].iter().position(|b| !in_number(b)).map_or(bytes.len(), |n| start + n);
    let digits = &bytes[start..end];
    let whole = !digits.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if whole && digits.len() > 18 {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
            return Err(format!(
                "a whole number of {} digits cannot be kept exactly; send it as a text",
                digits.len()
            ));
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Result<Value, Code> {
        read(text.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn depth_64_is_read_and_65_is_not() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(code(&nested(64)).is_ok());
            for depth in [65, 128, 100_000] {
                assert_eq!(code(&nested(depth)), Err(Code::InvalidRequest), "{depth}");
            }
        }
        assert!(code(r#""[[[[""#).is_ok(), "brackets in a text are text");
    }

    #[test]
    fn a_number_is_exact_or_refused() {
        for text in ["9007199254740993", "18446744073709551615", "-9223372036854775808"] {
            assert_eq!(code(text).map(|value| value.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(code("18446744073709551616"), Err(Code::InvalidRequest));
        assert_eq!(code(&"9".repeat(10_000)), Err(Code::InvalidRequest));
        assert_eq!(code("1e400"), Err(Code::NotJson));
        assert_eq!(code("-1e400"), Err(Code::NotJson));
    }

    #[test]
    fn nul_is_refused_escaped_or_raw_and_an_escaped_backslash_is_not_nul() {
        assert_eq!(code(r#"{"a":"x\u0000y"}"#), Err(Code::InvalidRequest));
        assert_eq!(code(r#"{"\u0000":1}"#), Err(Code::InvalidRequest));
        assert_eq!(code("\"\0\""), Err(Code::NotJson));
        assert_eq!(code(r#""\\u0000""#), Ok(Value::from("\\u0000")));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let bom = "\u{feff}{}";
        for text in ["NaN", "Infinity", "{} // x", "[1,]", "{}{}", "", "\"\\ud800\"", bom, "\"\\"] {
            assert_eq!(code(text), Err(Code::NotJson), "{text}");
        }
        for bytes in [&b"\"\xff\""[..], b"\xff\xfe{\0}\0"] {
            assert_eq!(read(bytes).map_err(|error| error.code), Err(Code::NotJson));
        }
    }

    #[test]
    fn strange_keys_are_plain_data_and_the_last_of_two_wins() {
        let text = r#"{"$ref":"x","__proto__":{"a":1},"a":1,"a":2}"#;
        let value = code(text).expect("plain");
        assert_eq!((&value["__proto__"]["a"], &value["a"]), (&Value::from(1), &Value::from(2)));
    }
}
