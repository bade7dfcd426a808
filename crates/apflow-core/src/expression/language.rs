//! What an expression can call: filters, tests and one function whose cost is that of what they read.
//!
//! The language offers more. What is left out can make much out of little (`indent`, `format`, `replace`,
//! `batch`, `range`) or calls other filters for every element (`map` with a name).

use std::sync::LazyLock;

use minijinja::{
    Environment, Error, ErrorKind, UndefinedBehavior, Value, filters, tests, value::Kwargs,
};

use super::MAX_VALUE;

/// Steps that one evaluation may take.
const FUEL: u64 = 10_000;

static STRICT: LazyLock<Environment<'static>> =
    LazyLock::new(|| language(UndefinedBehavior::Strict));
static SEMI_STRICT: LazyLock<Environment<'static>> =
    LazyLock::new(|| language(UndefinedBehavior::SemiStrict));

/// For values: what is not there is an error wherever it is used.
pub(super) fn strict() -> &'static Environment<'static> {
    &STRICT
}

/// For conditions: what is not there may be asked whether it is true.
pub(super) fn semi_strict() -> &'static Environment<'static> {
    &SEMI_STRICT
}

/// Whether a name is a function of the language and no variable.
pub(super) fn is_function(name: &str) -> bool {
    name == "times"
}

fn language(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(undefined);
    env.set_fuel(Some(FUEL));
    // Errors then know their place.
    env.set_debug(true);
    env.add_function("times", times);

    env.add_filter("length", filters::length);
    env.add_filter("count", filters::length);
    env.add_filter("lower", filters::lower);
    env.add_filter("upper", filters::upper);
    env.add_filter("title", filters::title);
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("trim", filters::trim);
    env.add_filter("split", filters::split);
    env.add_filter("lines", filters::lines);
    env.add_filter("join", join);
    env.add_filter("default", filters::default);
    env.add_filter("d", filters::default);
    env.add_filter("abs", filters::abs);
    env.add_filter("round", filters::round);
    env.add_filter("int", filters::int);
    env.add_filter("float", filters::float);
    env.add_filter("string", filters::string);
    env.add_filter("bool", filters::bool);
    env.add_filter("list", filters::list);
    env.add_filter("items", filters::items);
    env.add_filter("dictsort", filters::dictsort);
    env.add_filter("attr", filters::attr);
    env.add_filter("first", filters::first);
    env.add_filter("last", filters::last);
    env.add_filter("min", filters::min);
    env.add_filter("max", filters::max);
    env.add_filter("sort", filters::sort);
    env.add_filter("reverse", filters::reverse);
    env.add_filter("unique", filters::unique);
    env.add_filter("sum", sum);
    env.add_filter("map", map);
    env.add_filter("select", filters::select);
    env.add_filter("reject", filters::reject);
    env.add_filter("selectattr", filters::selectattr);
    env.add_filter("rejectattr", filters::rejectattr);

    env.add_test("undefined", tests::is_undefined);
    env.add_test("defined", tests::is_defined);
    env.add_test("none", tests::is_none);
    env.add_test("true", tests::is_true);
    env.add_test("false", tests::is_false);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("number", tests::is_number);
    env.add_test("integer", tests::is_integer);
    env.add_test("float", tests::is_float);
    env.add_test("odd", tests::is_odd);
    env.add_test("even", tests::is_even);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("string", tests::is_string);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("endingwith", tests::is_endingwith);
    env.add_test("eq", tests::is_eq);
    env.add_test("ne", tests::is_ne);
    env.add_test("lt", tests::is_lt);
    env.add_test("le", tests::is_le);
    env.add_test("gt", tests::is_gt);
    env.add_test("ge", tests::is_ge);
    env
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// Multiplies numbers; unlike the sign, it repeats nothing.
fn times(left: Value, right: Value) -> Result<Value, Error> {
    if !left.is_number() || !right.is_number() {
        return Err(refuse("`times` multiplies numbers"));
    }
    if left.is_integer() && right.is_integer() {
        let product = i64::try_from(left)?.checked_mul(i64::try_from(right)?);
        return product.map(Value::from).ok_or_else(|| refuse("the product is too large"));
    }
    Ok(Value::from(f64::try_from(left)? * f64::try_from(right)?))
}

/// Adds numbers up.
#[expect(clippy::needless_pass_by_value, reason = "the language hands values over")]
fn sum(values: Value) -> Result<Value, Error> {
    let mut whole = Some(0_i64);
    let mut broken = 0.0;
    for value in values.try_iter()? {
        if !value.is_number() {
            return Err(refuse("`sum` adds numbers"));
        }
        whole = match whole {
            Some(sum) if value.is_integer() => {
                let next = i64::try_from(value.clone())?;
                Some(sum.checked_add(next).ok_or_else(|| refuse("the sum is too large"))?)
            }
            _ => None,
        };
        broken += f64::try_from(value)?;
    }
    Ok(whole.map_or_else(|| Value::from(broken), Value::from))
}

/// One attribute of each element.
#[expect(clippy::needless_pass_by_value, reason = "the language hands values over")]
fn map(values: Value, options: Kwargs) -> Result<Vec<Value>, Error> {
    let attribute: &str = options.get("attribute")?;
    options.assert_all_used()?;
    values.try_iter()?.map(|value| value.get_attr(attribute)).collect()
}

/// Puts texts and numbers together, with something between them.
#[expect(clippy::needless_pass_by_value, reason = "the language hands values over")]
fn join(values: Value, between: Option<&str>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut text = String::new();
    for (place, value) in values.try_iter()?.enumerate() {
        if place > 0 {
            text.push_str(between);
        }
        match value.as_str() {
            Some(part) => text.push_str(part),
            None => text.push_str(&value.to_string()),
        }
        if text.len() > MAX_VALUE {
            return Err(refuse("the text is too long"));
        }
    }
    Ok(text)
}
