//! What a task says about how many of its kind may run, and how often they may begin.
//!
//! A key that an author bounds himself belongs to the owner of the task, so that nobody takes another
//! one's slots by naming his key. The same key without an owner is shared by everybody, and only
//! somebody in charge gives it a limit ([`SharedLimit`]).

mod gate;

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use gate::{Gate, Heads, MOST_FREED, Verdict};

use crate::{
    breaker::BreakerPolicy,
    id::MAX_ID_CHARS,
    task::{Held, HeldBy},
    time::Timestamp,
};

/// So many limits, and so many rates, one task may have.
pub const MAX_KEYS: usize = 8;
/// The highest number a limit, a rate or a burst may be.
pub const MAX_COUNT: u32 = 1_000_000;
/// Divides the owner of a key from the key; a key has no such character.
const OF: char = '\u{1f}';

/// What the author of a task said about its flow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowControl {
    /// With whom it shares slots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// With whom it shares a pace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate: Vec<Rate>,
    /// When its executor is given a rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerPolicy>,
}

/// At most so many tasks with a key run at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What the tasks have in common.
    pub key: String,
    /// How many of the owner's tasks; none: only what somebody in charge has set for the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// At most so many tasks with a key begin in a span of time, spread evenly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What the tasks have in common.
    pub key: String,
    /// How many units in the span.
    pub limit: u32,
    /// The span.
    pub per: Span,
    /// How many units may be used at once after a pause; 1 unless it is said, or the task's own units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How many units this task is; 1 unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
}

/// A span of time, written like `30s`, `1m`, `2h`, `1d` or as a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// Reads `30s`, `1m`, `2h`, `1d`, `500ms` or a number of seconds.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let millis = match unit.trim() {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = self.0.as_millis();
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis > 0 && millis.is_multiple_of(length) {
                return write!(f, "{}{unit}", millis / length);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = serde_json::Value::deserialize(from)?;
        let read = match &said {
            serde_json::Value::String(text) => Self::parse(text),
            serde_json::Value::Number(number) => {
                number.as_u64().map(|seconds| Self(Duration::from_secs(seconds)))
            }
            _ => None,
        };
        read.ok_or_else(|| D::Error::custom("a span is written like 30s, 1m, 2h or 1d"))
    }
}

impl FlowControl {
    /// What is wrong with it: the field and the reason, for each mistake.
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut say = |field: String, why: Option<String>| {
            found.extend(why.map(|why| (field, why)));
        };
        for (field, count) in [("limits", self.limits.len()), ("rate", self.rate.len())] {
            let why = format!("it has {count} entries, where {MAX_KEYS} are allowed");
            say(field.to_owned(), (count > MAX_KEYS).then_some(why));
        }
        for (at, limit) in self.limits.iter().enumerate() {
            say(format!("limits[{at}].key"), wrong_key(&limit.key));
            say(format!("limits[{at}].max"), limit.max.and_then(wrong_count));
        }
        for (at, rate) in self.rate.iter().enumerate() {
            say(format!("rate[{at}].key"), wrong_key(&rate.key));
            for (field, count) in
                [("limit", Some(rate.limit)), ("burst", rate.burst), ("units", rate.units)]
            {
                say(format!("rate[{at}].{field}"), count.and_then(wrong_count));
            }
            say(format!("rate[{at}].per"), wrong_span(rate.per));
            let short = rate.burst.is_some_and(|burst| burst < rate.units.unwrap_or(1));
            let why = "the task is more units than may be used at once, so it would never begin";
            say(format!("rate[{at}].burst"), short.then(|| why.to_owned()));
        }
        if let Some(breaker) = &self.breaker {
            say("breaker".to_owned(), breaker.mistake());
        }
        found
    }
}

/// Why a key cannot be one, if it cannot.
pub fn wrong_key(key: &str) -> Option<String> {
    if key.is_empty() || key.chars().count() > MAX_ID_CHARS {
        return Some(format!("a key has 1 to {MAX_ID_CHARS} characters"));
    }
    let odd = key.chars().any(char::is_control);
    odd.then(|| "a key has no control characters".to_owned())
}

/// Why a number cannot be a limit, if it cannot.
pub fn wrong_count(count: u32) -> Option<String> {
    let fits = (1..=MAX_COUNT).contains(&count);
    (!fits).then(|| format!("{count} is outside 1 to {MAX_COUNT}"))
}

/// Why a span cannot be one, if it cannot.
pub fn wrong_span(span: Span) -> Option<String> {
    let fits = (Duration::from_millis(1)..=Duration::from_hours(24 * 366)).contains(&span.0);
    (!fits).then(|| format!("{span} is outside 1ms to 366d"))
}

/// A limit that somebody in charge has set for a key; it holds for everybody's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedLimit {
    /// The key.
    pub key: String,
    /// At most so many tasks with it run at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How often tasks with it may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Pace>,
}

/// How many units in a span of time, and how many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// How many units in the span.
    pub limit: u32,
    /// The span.
    pub per: Span,
    /// How many units may be used at once after a pause.
    #[serde(default = "one")]
    pub burst: u32,
}

const fn one() -> u32 {
    1
}

fn is_one(count: &u32) -> bool {
    *count == 1
}

impl Pace {
    /// Microseconds between two units.
    fn gap(self) -> i64 {
        let per = i64::try_from(self.per.0.as_micros()).unwrap_or(i64::MAX);
        (per / i64::from(self.limit.max(1))).max(1)
    }

    /// When so many units may begin, if `even_at` is when all earlier ones are used up.
    pub fn opens_at(self, even_at: Timestamp, units: u32) -> Timestamp {
        // More units than the burst holds pass when nothing is used up any more.
        let room = i64::from(self.burst) - i64::from(units.min(self.burst));
        Timestamp(even_at.0.saturating_sub(self.gap().saturating_mul(room)))
    }

    /// When everything is used up again after so many units have begun.
    pub fn even_after(self, even_at: Timestamp, units: u32, now: Timestamp) -> Timestamp {
        let cost = self.gap().saturating_mul(i64::from(units));
        Timestamp(even_at.max(now).0.saturating_add(cost))
    }
}

/// The part of a task that claims look at: which lines it stands in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// Slots it takes while it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    /// Paces it keeps when it begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paces: Vec<Paced>,
    /// Breakers that have sent it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<String>,
    /// Breakers that it tries out in the attempt that runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<String>,
}

/// A slot of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The key, with its owner if it has one.
    pub key: String,
    /// How many there are; none for a shared key, whose limit lies in a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How many units of the shared key's pace the task is.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub units: u32,
}

/// A pace of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paced {
    /// The key with its owner.
    pub key: String,
    /// The pace.
    pub pace: Pace,
    /// How many units the task is.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub units: u32,
}

/// The longest list of breakers a task keeps in mind.
const MAX_BREAKERS: usize = 16;

impl Flow {
    /// What a definition asks for, or nothing.
    pub fn of(control: &FlowControl, owner: Option<&str>) -> Option<Self> {
        let mut flow = Self::default();
        for rate in &control.rate {
            let units = rate.units.unwrap_or(1);
            let burst = rate.burst.unwrap_or(units);
            let pace = Pace { limit: rate.limit, per: rate.per, burst };
            flow.paces.push(Paced { key: owned(owner, &rate.key), pace, units });
            flow.share(&rate.key, units);
        }
        for limit in &control.limits {
            if limit.max.is_some() {
                let key = owned(owner, &limit.key);
                if !flow.slots.iter().any(|slot| slot.key == key) {
                    flow.slots.push(Slot { key, max: limit.max, units: 1 });
                }
            }
            flow.share(&limit.key, 1);
        }
        (flow != Self::default()).then_some(flow)
    }

    fn share(&mut self, key: &str, units: u32) {
        if !self.slots.iter().any(|slot| slot.key == key) {
            self.slots.push(Slot { key: key.to_owned(), max: None, units });
        }
    }

    /// Remembers a breaker that sent the task back.
    pub fn learn(&mut self, breaker: &str) {
        if !self.breakers.iter().any(|known| known == breaker) {
            if self.breakers.len() >= MAX_BREAKERS {
                self.breakers.remove(0);
            }
            self.breakers.push(breaker.to_owned());
        }
    }

    /// What stays when a new run begins.
    pub fn for_a_new_run(mut self) -> Self {
        self.probes.clear();
        self
    }

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The lines in which the task counts as present: whoever stands behind it there is looked at when
    /// it goes.
    pub fn present(&self, stands: Standing<'_>) -> Vec<Line> {
        let slots = self.slots.iter().map(|slot| Line::of(HeldBy::Concurrency, &slot.key));
        let paces = self.paces.iter().map(|paced| Line::of(HeldBy::Rate, &paced.key));
        let shared = self.slots.iter().filter(|slot| slot.max.is_none());
        let paces = paces.chain(shared.map(|slot| Line::of(HeldBy::Rate, &slot.key)));
        let breakers = self.breakers.iter().map(|key| Line::of(HeldBy::Breaker, key));
        match stands {
            Standing::Claimable => slots.chain(paces).chain(breakers).collect(),
            Standing::Running => {
                slots.chain(self.probes.iter().map(|key| Line::of(HeldBy::Breaker, key))).collect()
            }
            Standing::Held(held) if held.until.is_some() => vec![Line::of(held.by, &held.key)],
            Standing::Held(_) | Standing::Elsewhere => Vec::new(),
        }
    }

    /// Every key that a decision about the task looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let slots = self.slots.iter().map(|slot| slot.key.as_str());
        let paces = self.paces.iter().map(|paced| paced.key.as_str());
        slots.chain(paces).chain(self.breakers.iter().map(String::as_str))
    }
}

/// Where a task stands, as far as lines are concerned.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// Ready, and nothing holds it.
    Claimable,
    /// A worker has it.
    Running,
    /// Ready and held.
    Held(&'a Held),
    /// Anywhere else.
    Elsewhere,
}

/// Tasks that wait for the same thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The sort of thing, as it is stored.
    pub by: &'static str,
    /// Which one.
    pub key: String,
}

impl Line {
    /// The line before one thing.
    pub fn of(by: HeldBy, key: &str) -> Self {
        Self { by: by.as_str(), key: key.to_owned() }
    }
}

/// The key of an owner's own limit.
fn owned(owner: Option<&str>, key: &str) -> String {
    format!("{}{OF}{key}", owner.unwrap_or_default())
}

/// A stored key as people know it.
pub fn shown(key: &str) -> &str {
    key.rsplit(OF).next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(key: &str, max: Option<u32>) -> Limit {
        Limit { key: key.to_owned(), max }
    }

    #[test]
    fn a_key_that_its_author_bounds_is_his_own_and_the_shared_one_besides() {
        let control = FlowControl { limits: vec![limit("db", Some(2))], ..Default::default() };
        let ann = Flow::of(&control, Some("ann")).expect("it says something");
        let bob = Flow::of(&control, Some("bob")).expect("it says something");
        assert_ne!(ann.slots[0].key, bob.slots[0].key, "nobody takes another one's slots");
        assert_eq!((ann.slots[0].max, ann.slots[1].max), (Some(2), None));
        assert_eq!(ann.slots[1].key, "db");
        assert_eq!(shown(&ann.slots[0].key), "db");
        assert_eq!(Flow::of(&FlowControl::default(), Some("ann")), None);
    }

    #[test]
    fn an_owner_cannot_pass_for_another_one_by_his_name() {
        let control = FlowControl { limits: vec![limit("b", Some(1))], ..Default::default() };
        let odd = Flow::of(&control, Some("a\u{1f}a")).expect("it says something");
        let plain = Flow::of(&control, Some("a")).expect("it says something");
        assert_ne!(odd.slots[0].key, plain.slots[0].key);
        assert!(wrong_key("a\u{1f}b").is_some(), "a key cannot hold what divides");
    }

    #[test]
    fn spans_are_read_and_written_as_people_write_them() {
        for (text, seconds) in [("30s", 30), ("1m", 60), ("2h", 7200), ("1d", 86400), ("15", 15)] {
            assert_eq!(Span::parse(text), Some(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(Span::parse("90s").map(|span| span.to_string()).as_deref(), Some("90s"));
        assert_eq!(Span::parse("120s").map(|span| span.to_string()).as_deref(), Some("2m"));
        for wrong in ["", "m", "1y", "-1s", "99999999999999999999s"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_can_never_begin_is_a_mistake() {
        let rate = |units, burst| Rate {
            key: "k".to_owned(),
            limit: 1,
            per: Span(Duration::from_secs(1)),
            burst,
            units,
        };
        let mistakes = |rate| FlowControl { rate: vec![rate], ..Default::default() }.mistakes();
        assert!(mistakes(rate(Some(5), None)).is_empty(), "the burst is as large as the task");
        assert_eq!(mistakes(rate(Some(5), Some(4)))[0].0, "rate[0].burst");
        assert_eq!(mistakes(rate(Some(0), None))[0].0, "rate[0].units");
        let many = FlowControl { limits: vec![limit("", Some(0)); 9], ..Default::default() };
        let fields: Vec<String> = many.mistakes().into_iter().map(|(field, _)| field).collect();
        assert!(fields.contains(&"limits".to_owned()) && fields.contains(&"limits[0].max".into()));
    }
}
