//! Cron expressions: five fields, six with the seconds last, and names that begin with `@`.
//!
//! What croner would let pass or read in its own way is settled here, before it sees the expression: empty
//! items, steps beyond the range, wildcards of other programs. It gets a canonical text made from the sets.

use std::fmt::Write;

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    pub(super) fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The values one field admits, one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Values {
    bits: u64,
    /// The field is `*`, or holds a wildcard or a step.
    pub(super) pattern: bool,
}

impl Values {
    pub(super) fn of(values: impl IntoIterator<Item = u8>) -> Self {
        let bits = values.into_iter().fold(0, |bits, value| bits | 1 << value);
        Self { bits, pattern: false }
    }

    fn all(field: &Field) -> Self {
        Self { pattern: true, ..Self::of(field.least..=field.most) }
    }

    pub(super) fn list(self) -> impl Iterator<Item = u8> + Clone {
        (0..64).filter(move |value| self.bits & (1 << value) != 0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.bits == 0
    }

    pub(super) fn len(self) -> usize {
        self.bits.count_ones() as usize
    }
}

/// Days of the month, with those that depend on the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MonthDays {
    /// `*`: says nothing about the day.
    pub(super) any: bool,
    pub(super) values: Values,
    /// `L`.
    pub(super) last: bool,
    /// `LW`.
    pub(super) last_weekday: bool,
    /// `15W`: the weekday nearest to it.
    pub(super) nearest: Values,
}

/// Days of the week, 0 is Sunday, with those that depend on the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WeekDays {
    /// `*`: says nothing about the day.
    pub(super) any: bool,
    pub(super) values: Values,
    /// `5L`: the last one of the month.
    pub(super) last: Values,
    /// `5#3`: the first to the fifth of the month.
    pub(super) nth: [Values; 5],
}

/// What an expression admits, field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) second: Values,
    pub(super) minute: Values,
    pub(super) hour: Values,
    pub(super) day: MonthDays,
    pub(super) month: Values,
    pub(super) weekday: WeekDays,
}

/// So many times a day are still a list of times, not a pattern.
const MOST_NAMED_TIMES: usize = 24;

impl Fields {
    /// Every day at one time.
    pub(super) fn at(hour: u8, minute: u8) -> Self {
        Self {
            second: Values::of([0]),
            minute: Values::of([minute]),
            hour: Values::of([hour]),
            day: MonthDays { any: true, ..MonthDays::default() },
            month: Values::all(&MONTH),
            weekday: WeekDays { any: true, ..WeekDays::default() },
        }
    }

    /// The times of day it names, unless it describes them by wildcards and steps or names too many.
    pub(super) fn named_times(&self) -> Option<Vec<(u8, u8, u8)>> {
        let fields = [self.hour, self.minute, self.second];
        let many: usize = fields.iter().map(|field| field.len()).product();
        if fields.iter().any(|field| field.pattern) || many > MOST_NAMED_TIMES {
            return None;
        }
        Some(self.times().collect())
    }

    /// Every time of day it admits, in order.
    pub(super) fn times(&self) -> impl Iterator<Item = (u8, u8, u8)> {
        let (minutes, seconds) = (self.minute, self.second);
        self.hour.list().flat_map(move |hour| {
            minutes
                .list()
                .flat_map(move |minute| seconds.list().map(move |second| (hour, minute, second)))
        })
    }

    /// The canonical text, seconds first as croner wants it, with these times of day.
    pub(super) fn text(&self, time: Option<(u8, u8, u8)>) -> String {
        let (hour, minute, second) = match time {
            Some((hour, minute, second)) => {
                (Values::of([hour]), Values::of([minute]), Values::of([second]))
            }
            None => (self.hour, self.minute, self.second),
        };
        let plain = |values: Values, field: &Field| {
            if values.bits == Values::all(field).bits {
                "*".to_owned()
            } else {
                listed(values.list())
            }
        };
        format!(
            "{} {} {} {} {} {}",
            plain(second, &SECOND),
            plain(minute, &MINUTE),
            plain(hour, &HOUR),
            self.day.text(),
            plain(self.month, &MONTH),
            self.weekday.text()
        )
    }
}

impl MonthDays {
    fn text(&self) -> String {
        if self.any {
            return "*".to_owned();
        }
        let mut parts: Vec<String> = self.values.list().map(|day| day.to_string()).collect();
        parts.extend(self.last.then(|| "L".to_owned()));
        parts.extend(self.last_weekday.then(|| "LW".to_owned()));
        parts.extend(self.nearest.list().map(|day| format!("{day}W")));
        parts.join(",")
    }
}

impl WeekDays {
    fn text(&self) -> String {
        if self.any {
            return "*".to_owned();
        }
        let mut parts: Vec<String> = self.values.list().map(|day| day.to_string()).collect();
        parts.extend(self.last.list().map(|day| format!("{day}L")));
        for (place, days) in self.nth.iter().enumerate() {
            parts.extend(days.list().map(|day| format!("{day}#{}", place + 1)));
        }
        parts.join(",")
    }
}

fn listed(values: impl Iterator<Item = u8>) -> String {
    values.fold(String::new(), |mut text, value| {
        let comma = if text.is_empty() { "" } else { "," };
        let written = write!(text, "{comma}{value}");
        debug_assert!(written.is_ok(), "a String takes everything");
        text
    })
}

/// One of the six fields: what it is called and what it may hold.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", least: 0, most: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Seven is Sunday as well; it becomes 0 once ranges are spelt out.
const WEEKDAY: Field = Field {
    name: "day of the week",
    least: 0,
    most: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Reads an expression of printable ASCII.
pub(super) fn read(expression: &str) -> Result<Fields, Wrong> {
    let text = expression.trim_matches([' ', '\t']).to_ascii_lowercase();
    let text = if text.starts_with('@') { alias(&text)? } else { text.as_str() };
    let parts: Vec<&str> = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect();
    let &[minute, hour, day, month, weekday, ref second @ ..] = parts.as_slice() else {
        return Err(Wrong::new(format!(
            "a cron expression has five fields, or six with the seconds last; this has {}",
            parts.len()
        )));
    };
    let second = match second {
        [] => "0",
        [second] => second,
        _ => {
            let many = parts.len();
            return Err(Wrong::new(format!("{many} fields are too many; years cannot be named")));
        }
    };
    Ok(Fields {
        second: values(&SECOND, second)?,
        minute: values(&MINUTE, minute)?,
        hour: values(&HOUR, hour)?,
        day: month_days(day)?,
        month: values(&MONTH, month)?,
        weekday: week_days(weekday)?,
    })
}

fn alias(text: &str) -> Result<&'static str, Wrong> {
    if let Some((_, meaning)) = ALIASES.iter().find(|(name, _)| *name == text) {
        return Ok(meaning);
    }
    let names: Vec<&str> = ALIASES.iter().map(|(name, _)| *name).collect();
    let wrong = Wrong::new(format!("`{}` is none of {}", shorten(text), names.join(", ")));
    Err(match text {
        "@reboot" => wrong.hinting("a task does not know of restarts; start it from outside"),
        _ if text.starts_with("@every") => wrong.hinting("use the type `interval` with seconds"),
        _ => wrong,
    })
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The items of a field, none of them empty.
fn items(field: &Field, text: &str) -> Result<Vec<String>, Wrong> {
    let items: Vec<String> = text.split(',').map(str::to_owned).collect();
    if items.iter().any(String::is_empty) {
        let reason = format!("the {} `{}` has an empty item", field.name, shorten(text));
        return Err(Wrong::new(reason));
    }
    Ok(items)
}

fn values(field: &Field, text: &str) -> Result<Values, Wrong> {
    let mut all = Values::default();
    for item in items(field, text)? {
        let more = item_values(field, &item)?;
        all = Values { bits: all.bits | more.bits, pattern: all.pattern || more.pattern };
    }
    Ok(all)
}

/// One item: `*`, a value, a range, each with a step if one is wanted.
fn item_values(field: &Field, item: &str) -> Result<Values, Wrong> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(self::step(field, item, step)?)),
        None => (item, None),
    };
    // Sunday is counted once, as 0, wherever a whole week is meant.
    let most = if field.most == 7 { 6 } else { field.most };
    let (low, high) = if base == "*" {
        (field.least, most)
    } else if let Some((low, high)) = base.split_once('-') {
        let (low, mut high) = (value(field, item, low)?, value(field, item, high)?);
        if field.most == 7 && high == 0 && low > 0 {
            high = 7;
        }
        if low > high {
            let reason = format!("in the {} `{}` the range goes down", field.name, shorten(item));
            return Err(Wrong::new(reason).hinting("write it as two ranges"));
        }
        (low, high)
    } else {
        let low = value(field, item, base)?;
        // As the Python server read it: from here on.
        (low, if step.is_some() { most.max(low) } else { low })
    };
    let whole = base == "*";
    let values = (low..=high).step_by(usize::from(step.unwrap_or(1)));
    let values = values.map(|value| if field.most == 7 && value == 7 { 0 } else { value });
    Ok(Values { pattern: whole || step.is_some(), ..Values::of(values) })
}

fn step(field: &Field, item: &str, text: &str) -> Result<u8, Wrong> {
    let most = if field.most == 7 { 7 } else { field.most - field.least + 1 };
    number(text).filter(|step| (1..=most).contains(step)).ok_or_else(|| {
        let item = shorten(item);
        Wrong::new(format!("the step in the {} `{item}` is not 1 to {most}", field.name))
    })
}

fn value(field: &Field, item: &str, text: &str) -> Result<u8, Wrong> {
    let named = field.names.iter().position(|name| *name == text);
    let named = named.and_then(|place| u8::try_from(place).ok()).map(|place| place + field.least);
    let value = named.or_else(|| number(text));
    value.filter(|value| (field.least..=field.most).contains(value)).ok_or_else(|| {
        let (name, least, most) = (field.name, field.least, field.most);
        let or_name = match field.names {
            [from, .., to] => format!(" or {from} to {to}"),
            _ => String::new(),
        };
        Wrong::new(format!("the {name} `{}` is not {least} to {most}{or_name}", shorten(item)))
    })
}

/// A number of one or two digits.
fn number(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn month_days(text: &str) -> Result<MonthDays, Wrong> {
    let mut days = MonthDays { any: matches!(text, "*" | "?"), ..MonthDays::default() };
    if days.any {
        return Ok(days);
    }
    for item in items(&DAY, text)? {
        if item == "l" {
            days.last = true;
        } else if item == "lw" {
            days.last_weekday = true;
        } else if let Some(day) = item.strip_suffix('w') {
            let day = value(&DAY, &item, day)?;
            days.nearest.bits |= 1 << day;
        } else {
            days.values.bits |= item_values(&DAY, &item)?.bits;
        }
    }
    if days.last && days.last_weekday {
        return Err(Wrong::new("`L` and `LW` cannot both be the day of the month"));
    }
    Ok(days)
}

fn week_days(text: &str) -> Result<WeekDays, Wrong> {
    let mut days = WeekDays { any: matches!(text, "*" | "?"), ..WeekDays::default() };
    if days.any {
        return Ok(days);
    }
    for item in items(&WEEKDAY, text)? {
        if let Some((day, nth)) = item.split_once('#') {
            let day = value(&WEEKDAY, &item, day)? % 7;
            let nth = number(nth).filter(|nth| (1..=5).contains(nth)).ok_or_else(|| {
                let item = shorten(&item);
                Wrong::new(format!("in the day of the week `{item}` the place is not 1 to 5"))
            })?;
            days.nth[usize::from(nth) - 1].bits |= 1 << day;
        } else if let Some(day) = last_of(&item) {
            let day = value(&WEEKDAY, &item, day)? % 7;
            days.last.bits |= 1 << day;
        } else {
            days.values.bits |= item_values(&WEEKDAY, &item)?.bits;
        }
    }
    Ok(days)
}

/// The day of `5l`, and of `l5` as the Python server wrote it.
fn last_of(item: &str) -> Option<&str> {
    item.strip_suffix('l').or_else(|| item.strip_prefix('l')).filter(|day| !day.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(expression: &str) -> String {
        read(expression).unwrap_or_else(|wrong| panic!("{expression}: {}", wrong.reason)).text(None)
    }

    #[test]
    fn an_expression_becomes_one_canonical_text_with_the_seconds_first() {
        assert_eq!(text("*/15 9-11 * * 1-5"), "0 0,15,30,45 9,10,11 * * 1,2,3,4,5");
        assert_eq!(text("* * * * * */20"), "0,20,40 * * * * *");
        assert_eq!(text("0 0 ? JAN,mar ?"), "0 0 0 * 1,3 *");
        assert_eq!(text("5/20 0 * * 5-7"), "0 5,25,45 0 * * 0,5,6");
        assert_eq!(text("0 0 * * sun,7,0"), "0 0 0 * * 0");
        assert_eq!(text("0 0 * * fri-sun"), "0 0 0 * * 0,5,6");
        assert_eq!(text("0 0 l * *"), "0 0 0 L * *");
        assert_eq!(text("0 0 1,15w,LW * 5#2,L5,mon"), "0 0 0 1,LW,15W * 1,5L,5#2");
        assert_eq!(text("@weekly"), text("0\t0 * *  0 "));
        assert_eq!(text("@HOURLY"), "0 0 * * * *");
        assert_eq!(text("0 0 * * */2"), "0 0 0 * * 0,2,4,6");
    }

    #[test]
    fn what_other_readers_let_pass_is_refused_with_the_field() {
        for (expression, part) in [
            ("", "this has 0"),
            ("* * * *", "this has 4"),
            ("* * * * * * *", "years"),
            ("*/61 * * * *", "1 to 60"),
            ("*/0 * * * *", "1 to 60"),
            ("* */25 * * *", "1 to 24"),
            ("1,,2 * * * *", "empty item"),
            (", * * * *", "empty item"),
            ("61 * * * *", "0 to 59"),
            ("-1 * * * *", "0 to 59"),
            ("+1 * * * *", "0 to 59"),
            ("* 24 * * *", "0 to 23"),
            ("* * 0 * *", "1 to 31"),
            ("* * 32 * *", "1 to 31"),
            ("* * * 13 *", "1 to 12"),
            ("* * * * 8", "0 to 7 or sun to sat"),
            ("* * * * +5", "0 to 7"),
            ("5-1 * * * *", "goes down"),
            ("1-2-3 * * * *", "0 to 59"),
            ("1/2/3 * * * *", "step"),
            ("* * * jan-xyz *", "month"),
            ("mon * * * *", "minute"),
            ("* * L,LW * *", "cannot both"),
            ("* * W * *", "1 to 31"),
            ("* * * * L", "0 to 7"),
            ("* * * * 5#6", "1 to 5"),
            ("* * * * 5#", "1 to 5"),
            ("0001 * * * *", "0 to 59"),
            ("? * * * *", "0 to 59"),
            ("@every 5s", "none of"),
            ("@reboot", "none of"),
        ] {
            let wrong = read(expression).expect_err(expression);
            assert!(wrong.reason.contains(part), "{expression}: {}", wrong.reason);
        }
        assert!(read("@every 1h").expect_err("no alias").hint.is_some());
    }

    #[test]
    fn a_list_of_times_is_named_and_a_pattern_is_not() {
        let named = |expression: &str| read(expression).expect(expression).named_times();
        assert_eq!(named("30 2 * * *"), Some(vec![(2, 30, 0)]));
        assert_eq!(named("0,30 2,14 1 * *").map(|times| times.len()), Some(4));
        assert_eq!(named("0 9-17 * * *").map(|times| times.len()), Some(9));
        assert_eq!(named("0 * * * *"), None);
        assert_eq!(named("*/30 2 * * *"), None);
        assert_eq!(named("0-59 2 * * *"), None);
    }
}
