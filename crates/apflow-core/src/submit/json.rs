//! What JSON may be stored: so deep, so long, and without the one character PostgreSQL cannot hold.

use std::{fmt, io};

use serde_json::Value;

/// The most levels of lists and objects in one value.
pub const MAX_DEPTH: usize = 64;

/// The longest text of one authored value, in bytes.
pub const MAX_INLINE_BYTES: usize = 1024 * 1024;

/// Why a value cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The way to the spot inside the value, like `.headers.x[3]`; empty for the value as a whole.
    pub at: String,
    /// What is wrong there.
    pub what: UnfitKind,
}

/// The kinds of value that cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfitKind {
    /// It is nested too deep.
    TooDeep,
    /// It is too long.
    TooLong {
        /// How long its text is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// A text holds U+0000.
    Nul,
    /// A number is infinite or none at all.
    NotFinite,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            UnfitKind::TooDeep => write!(f, "it is nested deeper than {MAX_DEPTH} levels"),
            UnfitKind::TooLong { bytes, most } => {
                write!(f, "it is {bytes} bytes long, where {most} are allowed")
            }
            UnfitKind::Nul => f.write_str("it contains the character U+0000"),
            UnfitKind::NotFinite => f.write_str("a number in it is not finite"),
        }
    }
}

/// How long the text of `value` is, or why the value cannot be stored.
pub fn measure(value: &Value, most: usize) -> Result<usize, Unfit> {
    measure_to(value, MAX_DEPTH, most)
}

/// The same for a value that stands inside an object.
pub(super) fn measure_within(value: &Value, most: usize) -> Result<usize, Unfit> {
    measure_to(value, MAX_DEPTH - 1, most)
}

fn measure_to(value: &Value, levels: usize, most: usize) -> Result<usize, Unfit> {
    sound(value, levels).map_err(|(what, mut way)| {
        way.reverse();
        Unfit { at: way.concat(), what }
    })?;
    let mut text = Length(0);
    // Writing to a counter cannot fail, and every value that is sound has a text.
    let _written = serde_json::to_writer(&mut text, value);
    if text.0 > most {
        let what = UnfitKind::TooLong { bytes: text.0, most };
        return Err(Unfit { at: String::new(), what });
    }
    Ok(text.0)
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Looks at every part, at most `levels` deep; the way to a bad part comes innermost first.
fn sound(value: &Value, levels: usize) -> Result<(), (UnfitKind, Vec<String>)> {
    let fault = |what| Err((what, Vec::new()));
    match value {
        Value::String(text) if text.contains('\0') => fault(UnfitKind::Nul),
        Value::Number(number) if !number.as_f64().is_some_and(f64::is_finite) => {
            fault(UnfitKind::NotFinite)
        }
        Value::Array(_) | Value::Object(_) if levels == 0 => fault(UnfitKind::TooDeep),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(place, item)| {
            sound(item, levels - 1)
                .map_err(|(what, way)| (what, longer(way, || format!("[{place}]"))))
        }),
        Value::Object(entries) => entries.iter().try_for_each(|(key, item)| {
            if key.contains('\0') {
                return fault(UnfitKind::Nul);
            }
            sound(item, levels - 1).map_err(|(what, way)| (what, longer(way, || format!(".{key}"))))
        }),
        _ => Ok(()),
    }
}

/// The way with one more step; a way of 64 steps says nothing, so only a few are kept.
fn longer(mut way: Vec<String>, step: impl FnOnce() -> String) -> Vec<String> {
    if way.len() >= 8 {
        way.remove(0);
    }
    way.push(step());
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(Value::Null, |inner, _| json!([inner]))
    }

    #[test]
    fn sixty_four_levels_fit_and_sixty_five_do_not() {
        assert!(measure(&nested(64), MAX_INLINE_BYTES).is_ok());
        let refused = measure(&nested(65), MAX_INLINE_BYTES).expect_err("too deep");
        assert_eq!(refused.what, UnfitKind::TooDeep);
    }

    #[test]
    fn a_nul_is_found_wherever_it_hides() {
        let refused = measure(&json!({"a": [1, {"b": "x\0"}]}), 100).expect_err("a NUL");
        assert_eq!((refused.at.as_str(), refused.what), (".a[1].b", UnfitKind::Nul));
        assert!(measure(&json!({"a\0": 1}), 100).is_err());
    }

    #[test]
    fn length_is_that_of_the_text_escapes_included() {
        assert_eq!(measure(&json!("a\n"), 5), Ok(5));
        let refused = measure(&json!("a\n\n"), 5).expect_err("7 bytes");
        assert_eq!(refused.what, UnfitKind::TooLong { bytes: 7, most: 5 });
    }
}
