//! What every operation on a channel does: one plain function, the same for every back end.

use std::{cmp::Ordering, fmt, time::Duration};

use serde_json::{Number, Value, json};

use super::{
    ChannelError, Entry, MAX_CHANNEL_BYTES, MAX_KEYS, MAX_LOCK, MAX_TTL, check_key, check_value,
};
use crate::time::Timestamp;

/// What somebody wants done with one value or one lock.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Read a value.
    Get {
        /// Its key.
        key: String,
    },
    /// Write a value over whatever is there.
    Set {
        /// Its key.
        key: String,
        /// The value.
        value: Value,
        /// How long it lives; none: as long as its run.
        ttl: Option<Duration>,
        /// Only if this is there.
        expect: Expect,
    },
    /// Let a value expire at another time.
    Keep {
        /// Its key.
        key: String,
        /// How long from now; none: as long as its run.
        ttl: Option<Duration>,
    },
    /// Remove a value.
    Delete {
        /// Its key.
        key: String,
        /// Only if this is there.
        expect: Expect,
    },
    /// Add to a number; where nothing is, to 0.
    Add {
        /// Its key.
        key: String,
        /// How much.
        amount: Number,
    },
    /// Put values at an end of a list; where nothing is, of an empty one.
    Push {
        /// Its key.
        key: String,
        /// The values, in the order they will have.
        values: Vec<Value>,
        /// Before the others instead of behind them.
        front: bool,
    },
    /// Take a lock.
    Lock {
        /// Its name.
        name: String,
        /// Who takes it.
        holder: Holder,
        /// For how long.
        ttl: Duration,
    },
    /// Hold a lock longer.
    Renew {
        /// Its name.
        name: String,
        /// What was given when it was taken.
        token: u64,
        /// For how long from now.
        ttl: Duration,
    },
    /// Give a lock back.
    Unlock {
        /// Its name.
        name: String,
        /// What was given when it was taken.
        token: u64,
    },
}

/// What must be there for a change to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// Whatever it is.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// This version.
    Version(u64),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Absent => f.write_str("nothing"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// Who takes a lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The same for all attempts of one run of a task.
    pub name: String,
    /// Larger for a later attempt, which takes over what an earlier one left locked.
    pub fence: u64,
}

/// Under which lock a change is done: it is refused once the lock was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The lock.
    pub name: String,
    /// What was given when it was taken.
    pub token: u64,
}

/// A lock that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Proves that it is held; larger than that of anybody who held it before.
    pub token: u64,
    /// Until when, unless it is renewed.
    pub until: Timestamp,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What is there.
    Found(Option<Entry>),
    /// It was written, or lives on, as this version.
    Written {
        /// The version.
        version: u64,
        /// When it is gone, if ever.
        expires_at: Option<Timestamp>,
    },
    /// Whether there was something to remove.
    Removed(bool),
    /// The new sum.
    Sum {
        /// The number that is there now.
        value: Number,
        /// Its version.
        version: u64,
    },
    /// The list as it is now.
    Pushed {
        /// How many values it has.
        length: u64,
        /// Its version.
        version: u64,
    },
    /// The lock was taken or is held longer.
    Locked(Held),
    /// The lock was given back.
    Unlocked,
}

/// What lies in one place of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The value; of a lock, who holds it.
    pub value: Value,
    /// Its version; of a lock, its token.
    pub version: u64,
    /// When it is gone, if ever.
    pub expires_at: Option<Timestamp>,
}

impl Cell {
    /// Whether it is still there at a moment; what expires is gone at its moment.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|until| now < until)
    }
}

/// A place in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(String);

impl Slot {
    /// Where a value lies.
    pub fn value(key: &str) -> Self {
        Self(format!("v{key}"))
    }

    /// Where a lock lies.
    pub fn lock(name: &str) -> Self {
        Self(format!("l{name}"))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key or name in a stored text.
    pub fn key_of(stored: &str) -> &str {
        stored.get(1..).unwrap_or_default()
    }
}

/// What a channel holds in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Values and locks.
    pub keys: u64,
    /// Bytes of keys and JSON.
    pub bytes: u64,
}

/// What an operation sees when it is its turn.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What lies in the place of the operation; may have expired.
    pub cell: Option<&'a Cell>,
    /// What lies in the place of the guard's lock; may have expired.
    pub lock: Option<&'a Cell>,
    /// What the whole channel holds, expired cells included.
    pub size: Size,
    /// The version of the next change.
    pub next: u64,
    /// The moment, by the clock of whoever keeps the channel.
    pub now: Timestamp,
}

/// What is to become of the place.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It stays as it is.
    None,
    /// This lies there from now on.
    Put(Cell),
    /// Nothing lies there any more.
    Remove,
}

impl Op {
    /// Which place it is about.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::Keep { key, .. }
            | Self::Delete { key, .. }
            | Self::Add { key, .. }
            | Self::Push { key, .. } => Slot::value(key),
            Self::Lock { name, .. } | Self::Renew { name, .. } | Self::Unlock { name, .. } => {
                Slot::lock(name)
            }
        }
    }

    /// Refuses what can be seen to be wrong without looking at the channel.
    pub fn check(&self) -> Result<(), ChannelError> {
        match self {
            Self::Get { key } | Self::Delete { key, .. } => check_key("key", key),
            Self::Set { key, value, ttl, .. } => {
                check_key("key", key)?;
                check_ttl(*ttl)?;
                check_value(key, value).map(drop)
            }
            Self::Keep { key, ttl } => {
                check_key("key", key)?;
                check_ttl(*ttl)
            }
            Self::Add { key, .. } => check_key("key", key),
            Self::Push { key, values, .. } => {
                check_key("key", key)?;
                if values.is_empty() {
                    let what = format!("there is nothing to put into the list `{key}`");
                    return Err(ChannelError::Invalid { what });
                }
                values.iter().try_for_each(|value| check_value(key, value).map(drop))
            }
            Self::Lock { name, holder, ttl } => {
                check_key("name of the lock", name)?;
                check_lock(*ttl)?;
                if holder.name.is_empty() || holder.name.len() > 4 * MAX_HOLDER_CHARS {
                    let what = "the holder of a lock needs a name of reasonable length".to_owned();
                    return Err(ChannelError::Invalid { what });
                }
                Ok(())
            }
            Self::Renew { name, ttl, .. } => {
                check_key("name of the lock", name)?;
                check_lock(*ttl)
            }
            Self::Unlock { name, .. } => check_key("name of the lock", name),
        }
    }
}

/// An id of a task, and the number of its run.
const MAX_HOLDER_CHARS: usize = 300;

fn check_ttl(ttl: Option<Duration>) -> Result<(), ChannelError> {
    let Some(ttl) = ttl else { return Ok(()) };
    within("a value lives", ttl, MAX_TTL)
}

fn check_lock(ttl: Duration) -> Result<(), ChannelError> {
    within("a lock is held", ttl, MAX_LOCK)
}

fn within(what: &str, ttl: Duration, most: Duration) -> Result<(), ChannelError> {
    if ttl.as_micros() > 0 && ttl <= most {
        return Ok(());
    }
    let most = most.as_secs();
    Err(ChannelError::Invalid {
        what: format!("{what} more than 0 and at most {most} seconds, not {ttl:?}"),
    })
}

/// Does one operation: what becomes of its place, and what its caller is told.
pub fn step(
    op: &Op,
    guard: Option<&Guard>,
    view: View<'_>,
) -> Result<(Change, Answer), ChannelError> {
    if let Some(guard) = guard {
        holds(&guard.name, guard.token, view.lock, view.now)?;
    }
    let here = view.cell.filter(|cell| cell.lives(view.now));
    let (change, answer) = match op {
        Op::Get { key } => {
            let entry = here.map(|cell| entry(key, cell));
            (Change::None, Answer::Found(entry))
        }
        Op::Set { key, value, ttl, expect } => {
            expected(key, *expect, here)?;
            written(view, value.clone(), ttl.map(|ttl| view.now.after(ttl)))
        }
        Op::Keep { key, ttl } => {
            let Some(cell) = here else {
                return Err(ChannelError::Changed {
                    key: key.clone(),
                    expected: Expect::Any,
                    found: None,
                });
            };
            // What is said of its end is a change like any other.
            written(view, cell.value.clone(), ttl.map(|ttl| view.now.after(ttl)))
        }
        Op::Delete { key, expect } => {
            expected(key, *expect, here)?;
            let change = if view.cell.is_some() { Change::Remove } else { Change::None };
            (change, Answer::Removed(here.is_some()))
        }
        Op::Add { key, amount } => {
            let value = sum(key, here.map(|cell| &cell.value), amount)?;
            let expires_at = here.and_then(|cell| cell.expires_at);
            let (change, _) = written(view, Value::Number(value.clone()), expires_at);
            (change, Answer::Sum { value, version: view.next })
        }
        Op::Push { key, values, front } => {
            let list = pushed(key, here.map(|cell| &cell.value), values, *front)?;
            let length = list.len() as u64;
            let list = Value::Array(list);
            check_value(key, &list)?;
            let expires_at = here.and_then(|cell| cell.expires_at);
            let (change, _) = written(view, list, expires_at);
            (change, Answer::Pushed { length, version: view.next })
        }
        Op::Lock { name, holder, ttl } => {
            if let Some(cell) = here
                && !takes_over(holder, cell)
            {
                return Err(busy(name, cell));
            }
            let until = view.now.after(*ttl);
            let value = json!({ "holder": holder.name, "fence": holder.fence });
            let (change, _) = written(view, value, Some(until));
            (change, Answer::Locked(Held { token: view.next, until }))
        }
        Op::Renew { name, token, ttl } => {
            let cell = holds(name, *token, view.cell, view.now)?;
            let until = view.now.after(*ttl);
            let renewed = Cell { expires_at: Some(until), ..cell.clone() };
            (Change::Put(renewed), Answer::Locked(Held { token: *token, until }))
        }
        Op::Unlock { name, token } => {
            holds(name, *token, view.cell, view.now)?;
            (Change::Remove, Answer::Unlocked)
        }
    };
    if let Change::Put(cell) = &change {
        fits(view, &op.slot(), cell)?;
    }
    Ok((change, answer))
}

fn entry(key: &str, cell: &Cell) -> Entry {
    Entry {
        key: key.to_owned(),
        value: cell.value.clone(),
        version: cell.version,
        expires_at: cell.expires_at,
    }
}

fn written(view: View<'_>, value: Value, expires_at: Option<Timestamp>) -> (Change, Answer) {
    let version = view.next;
    (Change::Put(Cell { value, version, expires_at }), Answer::Written { version, expires_at })
}

fn expected(key: &str, expect: Expect, here: Option<&Cell>) -> Result<(), ChannelError> {
    let found = here.map(|cell| cell.version);
    let fits = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Version(version) => found == Some(version),
    };
    if fits {
        return Ok(());
    }
    Err(ChannelError::Changed { key: key.to_owned(), expected: expect, found })
}

/// The cell of a lock that is held under this token.
fn holds<'a>(
    name: &str,
    token: u64,
    cell: Option<&'a Cell>,
    now: Timestamp,
) -> Result<&'a Cell, ChannelError> {
    cell.filter(|cell| cell.lives(now) && cell.version == token)
        .ok_or_else(|| ChannelError::Lost { name: name.to_owned() })
}

/// A later attempt of the same run of a task takes over what an earlier one left.
fn takes_over(holder: &Holder, cell: &Cell) -> bool {
    cell.value["holder"].as_str() == Some(&holder.name)
        && cell.value["fence"].as_u64().is_some_and(|fence| fence < holder.fence)
}

fn busy(name: &str, cell: &Cell) -> ChannelError {
    ChannelError::Busy {
        name: name.to_owned(),
        holder: cell.value["holder"].as_str().unwrap_or("somebody").to_owned(),
        until: cell.expires_at.unwrap_or(Timestamp(i64::MAX)),
    }
}

/// What a value is, in one word.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whole numbers stay exact; a fraction anywhere makes the sum one.
fn sum(key: &str, here: Option<&Value>, amount: &Number) -> Result<Number, ChannelError> {
    let refuse = |why: String| ChannelError::Type { key: key.to_owned(), why };
    let zero = Number::from(0);
    let before = match here {
        None => &zero,
        Some(Value::Number(number)) => number,
        Some(other) => return Err(refuse(format!("is {}, and no number", kind(other)))),
    };
    let whole = |number: &Number| {
        number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
    };
    if let (Some(before), Some(amount)) = (whole(before), whole(amount)) {
        let sum = before + amount;
        return i64::try_from(sum)
            .map(Number::from)
            .or_else(|_| u64::try_from(sum).map(Number::from))
            .map_err(|_| refuse(format!("would be {sum}, more than a whole number can hold")));
    }
    let sum = before.as_f64().zip(amount.as_f64()).map(|(before, amount)| before + amount);
    sum.and_then(Number::from_f64)
        .ok_or_else(|| refuse("would be more than a number can hold".to_owned()))
}

fn pushed(
    key: &str,
    here: Option<&Value>,
    values: &[Value],
    front: bool,
) -> Result<Vec<Value>, ChannelError> {
    let before = match here {
        None => &[][..],
        Some(Value::Array(list)) => list,
        Some(other) => {
            let why = format!("is {}, and no list", kind(other));
            return Err(ChannelError::Type { key: key.to_owned(), why });
        }
    };
    let (first, second) = if front { (values, before) } else { (before, values) };
    Ok(first.iter().chain(second).cloned().collect())
}

/// What a cell takes of the room of its channel.
pub fn weight(slot: &Slot, cell: &Cell) -> u64 {
    // Whatever is kept was measured before, so it can be measured again.
    let bytes = check_value(slot.as_str(), &cell.value).unwrap_or(super::MAX_VALUE_BYTES as u64);
    slot.as_str().len() as u64 + bytes
}

/// What a channel holds after a change of one place.
pub fn size_after(size: Size, slot: &Slot, before: Option<&Cell>, after: Option<&Cell>) -> Size {
    let of = |cell: Option<&Cell>| cell.map_or(0, |cell| weight(slot, cell));
    Size {
        keys: (size.keys + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some())),
        bytes: (size.bytes + of(after)).saturating_sub(of(before)),
    }
}

/// Refuses what would make the channel larger than it may be.
fn fits(view: View<'_>, slot: &Slot, cell: &Cell) -> Result<(), ChannelError> {
    let after = size_after(view.size, slot, view.cell, Some(cell));
    // Whoever makes it smaller may, however full it is.
    if after.keys.cmp(&MAX_KEYS) == Ordering::Greater && after.keys > view.size.keys {
        return Err(ChannelError::Full { what: format!("it holds {MAX_KEYS} values and locks") });
    }
    if after.bytes > MAX_CHANNEL_BYTES && after.bytes > view.size.bytes {
        let what = format!("its values take more than {MAX_CHANNEL_BYTES} bytes");
        return Err(ChannelError::Full { what });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    /// A channel of one place.
    #[derive(Default)]
    struct One {
        cell: Option<Cell>,
        size: Size,
        version: u64,
        now: i64,
    }

    impl One {
        fn act(&mut self, op: &Op) -> Result<Answer, ChannelError> {
            let next = self.version + 1;
            let now = NOW.after(Duration::from_micros(self.now.unsigned_abs()));
            let view = View { cell: self.cell.as_ref(), lock: None, size: self.size, next, now };
            let (change, answer) = step(op, None, view)?;
            let after = match change {
                Change::None => return Ok(answer),
                Change::Put(cell) => Some(cell),
                Change::Remove => None,
            };
            self.size = size_after(self.size, &op.slot(), self.cell.as_ref(), after.as_ref());
            (self.cell, self.version) = (after, next);
            Ok(answer)
        }
    }

    fn set(value: Value, expect: Expect) -> Op {
        Op::Set { key: "k".to_owned(), value, ttl: None, expect }
    }

    fn add(amount: impl Into<Number>) -> Op {
        Op::Add { key: "k".to_owned(), amount: amount.into() }
    }

    fn lock(name: &str, fence: u64) -> Op {
        let holder = Holder { name: name.to_owned(), fence };
        Op::Lock { name: "n".to_owned(), holder, ttl: Duration::from_secs(10) }
    }

    #[test]
    fn a_version_never_comes_twice_not_even_after_a_deletion() {
        let mut one = One::default();
        one.act(&set(json!(1), Expect::Absent)).unwrap();
        let old = one.cell.as_ref().unwrap().version;
        one.act(&Op::Delete { key: "k".to_owned(), expect: Expect::Any }).unwrap();
        one.act(&set(json!(1), Expect::Absent)).unwrap();
        let refused = one.act(&set(json!(2), Expect::Version(old))).unwrap_err();
        assert!(matches!(refused, ChannelError::Changed { found: Some(3), .. }), "{refused:?}");
    }

    #[test]
    fn whole_numbers_are_added_exactly_and_never_overflow() {
        let mut one = One::default();
        one.act(&add(i64::MAX)).unwrap();
        assert!(
            matches!(one.act(&add(1)).unwrap(), Answer::Sum { value, .. } if value == Number::from(1_u64 << 63))
        );
        one.act(&set(json!(u64::MAX), Expect::Any)).unwrap();
        assert!(matches!(one.act(&add(1)), Err(ChannelError::Type { .. })));
        one.act(&set(json!(1), Expect::Any)).unwrap();
        let half = Number::from_f64(0.5).unwrap();
        assert!(
            matches!(one.act(&add(half)).unwrap(), Answer::Sum { value, .. } if value.as_f64() == Some(1.5))
        );
        one.act(&set(json!(f64::MAX), Expect::Any)).unwrap();
        let most = Number::from_f64(f64::MAX).unwrap();
        assert!(matches!(one.act(&add(most)), Err(ChannelError::Type { .. })));
    }

    #[test]
    fn a_sum_wants_a_number_and_a_list_wants_a_list() {
        let mut one = One::default();
        let push = Op::Push { key: "k".to_owned(), values: vec![json!(1)], front: false };
        one.act(&push).unwrap();
        let refused = one.act(&add(1)).unwrap_err().to_string();
        assert_eq!(refused, "the value under `k` is a list, and no number");
        one.act(&set(json!({}), Expect::Any)).unwrap();
        assert!(one.act(&push).unwrap_err().to_string().contains("an object, and no list"));
    }

    #[test]
    fn what_is_pushed_lies_in_the_order_it_was_given_at_either_end() {
        let mut one = One::default();
        let push = |values: &[i64], front| Op::Push {
            key: "k".to_owned(),
            values: values.iter().map(|value| json!(value)).collect(),
            front,
        };
        one.act(&push(&[3, 4], false)).unwrap();
        one.act(&push(&[1, 2], true)).unwrap();
        let answer = one.act(&push(&[5], false)).unwrap();
        assert!(matches!(answer, Answer::Pushed { length: 5, .. }));
        assert_eq!(one.cell.unwrap().value, json!([1, 2, 3, 4, 5]));
    }

    #[test]
    fn a_value_is_gone_at_its_moment_and_not_before() {
        let mut one = One::default();
        let ttl = Some(Duration::from_micros(100));
        let op = Op::Set { key: "k".to_owned(), value: json!(1), ttl, expect: Expect::Any };
        one.act(&op).unwrap();
        let get = Op::Get { key: "k".to_owned() };
        one.now = 99;
        assert!(matches!(one.act(&get).unwrap(), Answer::Found(Some(_))));
        one.act(&add(1)).unwrap();
        one.now = 100;
        assert_eq!(one.act(&get).unwrap(), Answer::Found(None), "adding does not make it last");
        assert!(one.act(&set(json!(2), Expect::Absent)).is_ok());
    }

    #[test]
    fn a_lock_is_held_by_one_until_its_time_and_its_token_grows() {
        let mut one = One::default();
        let Answer::Locked(first) = one.act(&lock("a", 1)).unwrap() else { panic!() };
        assert!(matches!(one.act(&lock("b", 9)), Err(ChannelError::Busy { .. })));
        assert!(matches!(one.act(&lock("a", 1)), Err(ChannelError::Busy { .. })), "not twice");
        let Answer::Locked(second) = one.act(&lock("a", 2)).unwrap() else { panic!() };
        assert!(second.token > first.token, "a later attempt takes over");
        let unlock = |token| Op::Unlock { name: "n".to_owned(), token };
        assert!(matches!(one.act(&unlock(first.token)), Err(ChannelError::Lost { .. })));
        one.now = 10_000_000;
        assert!(matches!(one.act(&unlock(second.token)), Err(ChannelError::Lost { .. })));
        let Answer::Locked(third) = one.act(&lock("b", 1)).unwrap() else { panic!() };
        assert!(third.token > second.token);
        one.act(&unlock(third.token)).unwrap();
        assert_eq!(one.size, Size::default());
    }

    #[test]
    fn what_is_done_under_a_lost_lock_is_refused() {
        let guard = Guard { name: "n".to_owned(), token: 7 };
        let cell = Cell { value: json!({}), version: 7, expires_at: Some(NOW) };
        let op = set(json!(1), Expect::Any);
        let at = |lock, now| View { cell: None, lock, size: Size::default(), next: 8, now };
        assert!(step(&op, Some(&guard), at(Some(&cell), Timestamp(999))).is_ok());
        for view in [at(Some(&cell), NOW), at(None, NOW)] {
            assert!(matches!(step(&op, Some(&guard), view), Err(ChannelError::Lost { .. })));
        }
    }

    #[test]
    fn a_full_channel_takes_no_more_and_lets_go() {
        let mut one = One { size: Size { keys: MAX_KEYS, bytes: 0 }, ..One::default() };
        assert!(matches!(one.act(&add(1)), Err(ChannelError::Full { .. })));
        one.cell = Some(Cell { value: json!(1), version: 1, expires_at: None });
        one.size.bytes = MAX_CHANNEL_BYTES + 100;
        assert!(one.act(&set(json!(2), Expect::Any)).is_ok(), "no larger than before");
        assert!(matches!(one.act(&set(json!("ab"), Expect::Any)), Err(ChannelError::Full { .. })));
        assert!(one.act(&Op::Delete { key: "k".to_owned(), expect: Expect::Any }).is_ok());
    }

    #[test]
    fn what_cannot_be_kept_is_refused_before_anybody_looks() {
        let keys = [String::new(), "x".repeat(256), "a\0b".to_owned(), "a\nb".to_owned()];
        for key in keys {
            assert!(matches!(Op::Get { key }.check(), Err(ChannelError::Invalid { .. })));
        }
        let big = json!("x".repeat(super::super::MAX_VALUE_BYTES));
        assert!(matches!(set(big, Expect::Any).check(), Err(ChannelError::TooLarge { .. })));
        let ttl = |ttl| Op::Keep { key: "k".to_owned(), ttl: Some(ttl) }.check();
        assert!(ttl(Duration::ZERO).is_err() && ttl(MAX_TTL * 2).is_err() && ttl(MAX_TTL).is_ok());
        let none = Op::Push { key: "k".to_owned(), values: Vec::new(), front: true };
        assert!(none.check().is_err());
    }
}
