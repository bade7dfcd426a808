//! Expressions that authors write: conditions, keys of branches, mappings; read once, bounded always.
//!
//! The language is that of Jinja expressions. Its parser would overflow the stack on a long chain of
//! signs, and some of its filters can turn a small text into a huge one, so every source passes
//! `scan` before it is parsed, and only what is listed in `language` can be called.

mod language;
mod scan;

use std::sync::Arc;

use minijinja::value::Serde;
use serde_json::Value;

use crate::{
    code::Code,
    problem::{Problem, nearest, shortened},
    task::{Failure, FailureKind},
};

/// The longest source, in bytes.
pub const MAX_SOURCE: usize = 4096;
/// The largest value an expression may give, in bytes of JSON.
pub const MAX_VALUE: usize = 1 << 20;

/// What an expression may refer to.
pub const NAMES: [&str; 7] = ["inputs", "results", "result", "states", "task", "run", "cycle"];

/// One expression, known to be well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    source: Arc<str>,
}

/// Why a well-formed expression gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the expression `{source_text}` has no value: {why}")]
pub struct NoValue {
    source_text: String,
    why: String,
}

impl From<NoValue> for Failure {
    fn from(error: NoValue) -> Self {
        Self::new(FailureKind::Expression, error.to_string())
    }
}

impl Expression {
    /// Reads an expression that may refer to [`NAMES`].
    pub fn compile(source: &str) -> Result<Self, Box<Problem>> {
        Self::compile_with(source, &NAMES)
    }

    /// Reads an expression that may refer to `names`, and to nothing else.
    pub fn compile_with(source: &str, names: &[&str]) -> Result<Self, Box<Problem>> {
        if let Err(why) = scan::scan(source) {
            return Err(refused(source, why));
        }
        let compiled = language::semi_strict().compile_expression(source);
        let compiled = compiled.map_err(|error| malformed(source, &error))?;
        let mut roots: Vec<String> = compiled
            .undeclared_variables(false)
            .into_iter()
            .filter(|root| !names.contains(&root.as_str()) && !language::is_function(root))
            .collect();
        roots.sort_unstable();
        if let Some(root) = roots.first() {
            let why = format!("there is no `{}` to refer to", shortened(root));
            let mut problem = refused(source, why);
            problem.expected = Some(names.join(", "));
            problem.hint =
                nearest(root, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            return Err(problem);
        }
        Ok(Self { source: source.into() })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its value where the names mean what `context`, an object, says.
    ///
    /// What is not there has no value; `default` is the way to say what it is then.
    pub fn eval(&self, context: &Value) -> Result<Value, NoValue> {
        let value = self.give(language::strict(), context)?;
        if value.is_undefined() {
            return Err(self.none("what it names is not there"));
        }
        let value = serde_json::to_value(&value).map_err(|error| self.none(error.to_string()))?;
        let room = Room(MAX_VALUE);
        if serde_json::to_writer(room, &value).is_err() {
            return Err(self.none(format!("it would be longer than {MAX_VALUE} bytes")));
        }
        Ok(value)
    }

    /// Whether it holds; what is not there does not.
    pub fn is_true(&self, context: &Value) -> Result<bool, NoValue> {
        self.give(language::semi_strict(), context).map(|value| value.is_true())
    }

    fn give(
        &self,
        language: &minijinja::Environment<'_>,
        context: &Value,
    ) -> Result<minijinja::Value, NoValue> {
        language
            .compile_expression(&self.source)
            .and_then(|compiled| compiled.eval(Serde(context)))
            .map_err(|error| self.none(in_words(&error)))
    }

    fn none(&self, why: impl Into<String>) -> NoValue {
        NoValue { source_text: shortened(&self.source), why: why.into() }
    }
}

/// Counts down to nothing, and keeps nothing.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A text with expressions in double braces: `Hello {{ inputs.name }}`.
///
/// A text that is one expression and nothing else gives its value, of whatever type; in a longer text
/// each becomes text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Expression),
}

impl Template {
    /// Reads a text whose expressions may refer to [`NAMES`].
    pub fn compile(text: &str) -> Result<Self, Box<Problem>> {
        Self::compile_with(text, &NAMES)
    }

    /// Reads a text whose expressions may refer to `names`.
    pub fn compile_with(text: &str, names: &[&str]) -> Result<Self, Box<Problem>> {
        const MOST: usize = 64;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let Some(length) = scan::end_of_braces(&rest[start + 2..]) else {
                return Err(refused(text, "a `{{` has no `}}`"));
            };
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let inside = &rest[start + 2..start + 2 + length];
            parts.push(Part::Value(Expression::compile_with(inside.trim(), names)?));
            rest = &rest[start + 2 + length + 2..];
            if parts.len() > MOST {
                return Err(refused(text, format!("it has more than {MOST} parts")));
            }
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether there is an expression in it at all.
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The text with its expressions filled in, or the value if it is one expression.
    pub fn eval(&self, context: &Value) -> Result<Value, NoValue> {
        if let [Part::Value(only)] = self.parts.as_slice() {
            return only.eval(context);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Value(expression) => match expression.eval(context)? {
                    Value::String(value) => text.push_str(&value),
                    other => text.push_str(&other.to_string()),
                },
            }
            if text.len() > MAX_VALUE
                && let Part::Value(expression) = part
            {
                let why = format!("the text around it would be longer than {MAX_VALUE} bytes");
                return Err(expression.none(why));
            }
        }
        Ok(Value::String(text))
    }
}

fn refused(source: &str, why: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Code::InvalidExpression, why).found(source))
}

fn malformed(source: &str, error: &minijinja::Error) -> Box<Problem> {
    let place = error.range().map_or_else(String::new, |range| {
        let before = source.get(..range.start).unwrap_or(source);
        format!(" at character {}", before.chars().count() + 1)
    });
    refused(source, format!("{}{place}", in_words(error)))
}

/// What the language says of an error, without its own report.
fn in_words(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    match error.detail() {
        Some(detail) => shortened(&format!("{kind}: {detail}")),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expression(source: &str) -> Expression {
        Expression::compile(source).unwrap_or_else(|problem| panic!("{source}: {problem}"))
    }

    fn eval(source: &str) -> Value {
        let context = json!({
            "inputs": {"n": 3, "name": "Ada", "big": 9_007_199_254_740_993_i64, "none": null},
            "results": {"check": {"ok": true, "list": [3, 1, 2]}, "a-b": {"x": 1.5}},
        });
        expression(source).eval(&context).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn values_keep_their_types() {
        assert_eq!(eval("inputs.n + 1"), json!(4));
        assert_eq!(eval("inputs.big"), json!(9_007_199_254_740_993_i64));
        assert_eq!(eval("results.check"), json!({"ok": true, "list": [3, 1, 2]}));
        assert_eq!(eval("results['a-b'].x"), json!(1.5));
        assert_eq!(eval("inputs.none"), json!(null));
        assert_eq!(eval("results.check.list|sort|first"), json!(1));
        assert_eq!(eval("results.check.list|join('-')"), json!("3-1-2"));
        assert_eq!(eval("results.check.list|sum"), json!(6));
        assert_eq!(eval("times(inputs.n, 2.5)"), json!(7.5));
        assert_eq!(eval("inputs.missing|default(7)"), json!(7));
        assert_eq!(eval("{'a': [inputs.n, 'x' ~ inputs.n]}"), json!({"a": [3, "x3"]}));
        assert_eq!(eval("inputs.n if results.check.ok else 0"), json!(3));
    }

    #[test]
    fn what_is_not_there_does_not_hold_and_has_no_value() {
        let context = json!({"inputs": {}});
        let missing = expression("inputs.gone");
        assert_eq!(missing.is_true(&context), Ok(false));
        let error = missing.eval(&context).expect_err("nothing is there");
        assert!(error.to_string().contains("`inputs.gone`"), "{error}");
        assert!(expression("inputs.gone.deeper").is_true(&context).is_err());
        assert_eq!(expression("inputs.gone is defined").is_true(&context), Ok(false));
    }

    #[test]
    fn a_name_that_means_nothing_is_refused_with_the_one_that_was_meant() {
        let problem = Expression::compile("input.n > 3").expect_err("there is no `input`");
        assert_eq!(problem.code, Code::InvalidExpression);
        assert_eq!(problem.hint.as_deref(), Some("did you mean `inputs`?"));
        assert!(Expression::compile_with("item.n", &["item"]).is_ok());
    }

    #[test]
    fn a_malformed_expression_names_the_place() {
        let problem = Expression::compile("inputs.n >").expect_err("half of it is missing");
        assert!(problem.reason.contains("unexpected end"), "{}", problem.reason);
        let problem = Expression::compile("'ä' 3").expect_err("no operator");
        assert!(problem.reason.contains("at character 5"), "{}", problem.reason);
        for source in [
            "",
            "  ",
            "1 ! 2",
            "1; 2",
            "a $",
            "inputs }} x",
            "{% if inputs %}",
            "inputs|nothing_like_it",
        ] {
            let judged = Expression::compile(source)
                .map(|expression| expression.eval(&json!({"inputs": {}})).is_err());
            assert!(judged.unwrap_or(true), "{source} is no expression");
        }
    }

    #[test]
    fn hostile_sources_neither_overflow_a_small_stack_nor_get_through() {
        let deep: Vec<String> = vec![
            "-".repeat(4000) + "1",
            "not ".repeat(1000) + "1",
            "(".repeat(2000) + "1" + &")".repeat(2000),
            "[".repeat(2000) + &"]".repeat(2000),
            "1+".repeat(2000) + "1",
            "1 if 1 else ".repeat(300) + "1",
            "inputs".to_owned() + &".a".repeat(2000),
            "inputs".to_owned() + &"[0]".repeat(1300),
            "inputs".to_owned() + &"|list".repeat(800),
            "inputs".to_owned() + &"()".repeat(2000),
            "1 ".to_owned() + &"is defined and 1 ".repeat(200),
            "1 in ".repeat(800) + "[]",
            "'".to_owned() + &"\\'-".repeat(1300),
            "\"x\"".to_owned() + &"~'x'".repeat(1000),
            "{0:".repeat(1000) + "1" + &"}".repeat(1000),
        ];
        let judge = move || {
            for source in &deep {
                let problem = Expression::compile(source).expect_err("it is refused");
                assert_eq!(problem.code, Code::InvalidExpression);
            }
        };
        let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(judge);
        assert!(thread.expect("a thread").join().is_ok());
    }

    #[test]
    fn what_is_just_within_the_limits_fits_a_small_stack() {
        let most = scan::MOST_OPERATORS;
        let widest: Vec<String> = vec![
            "-".repeat(most) + "1",
            "not ".repeat(most) + "1",
            "1-".repeat(most) + "1",
            "(".repeat(scan::MOST_DEEP) + "1" + &")".repeat(scan::MOST_DEEP),
            "1 if 1 else ".repeat(most / 2) + "1",
            "inputs".to_owned() + &".a".repeat(most),
            "inputs".to_owned() + &"|list".repeat(most),
        ];
        let judge = move || {
            for source in &widest {
                // Some have no value; all of them come back.
                let _ = Expression::compile(source).map(|found| found.is_true(&json!({})));
            }
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(judge);
        assert!(thread.expect("a thread").join().is_ok());
    }

    #[test]
    fn nothing_small_becomes_huge() {
        let long = "x".repeat(100_000);
        let list: Vec<&str> = vec!["y"; 1000];
        let context = json!({"inputs": {"long": long, "list": list, "n": 1_000_000_000}});
        for source in [
            "inputs.long * inputs.n",
            "'a' * 100000000",
            "[0] * 100000000",
            "2 ** 100",
            "times('a', 1000000)",
            "inputs.list|join(inputs.long)",
            "inputs.list|sum",
            "range(100000)",
            "'%1000000000d'|format(1)",
            "inputs.long|indent(1000000)",
            "inputs.long|replace('x', inputs.long)",
            "inputs.list|map('join', inputs.long)",
            &format!("inputs.long{}", " ~ inputs.long".repeat(20)),
        ] {
            let judged = Expression::compile(source).ok().map(|found| found.eval(&context));
            assert!(judged.is_none_or(|value| value.is_err()), "{source} got through");
        }
    }

    #[test]
    fn a_template_of_one_expression_keeps_the_type_and_a_longer_one_is_a_text() {
        let context = json!({"inputs": {"n": 3, "s": "}}"}});
        let eval = |text: &str| {
            let template = Template::compile(text).unwrap_or_else(|problem| panic!("{problem}"));
            template.eval(&context).unwrap_or_else(|error| panic!("{error}"))
        };
        assert_eq!(eval("{{ inputs.n }}"), json!(3));
        assert_eq!(eval("n = {{ inputs.n }}, {{ [inputs.n] }}"), json!("n = 3, [3]"));
        assert_eq!(eval("{{ '}}' ~ inputs.s }}"), json!("}}}}"));
        assert_eq!(eval("{{ {'a': {'b': inputs.n}} }}"), json!({"a": {"b": 3}}));
        assert_eq!(eval("plain"), json!("plain"));
        assert_eq!(eval(""), json!(""));
        assert!(Template::compile("{{ inputs.n").is_err());
        assert!(Template::compile("plain").is_ok_and(|template| template.is_plain()));
    }
}
