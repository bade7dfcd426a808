//! What every keeper of channels must do, as rules over any [`ChannelStore`].

#![expect(clippy::expect_used, reason = "these are rules: one that is broken panics")]

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Number, Value, json};

use crate::{
    channel::{
        Answer, ChannelError, ChannelId, Expect, Guard, Held, Holder, KeyRange, MAX_KEYS, Op,
        rules::{Cell, Change, Size, Slot, View, step},
    },
    store::ChannelStore,
    time::Timestamp,
};

/// A channel that nobody else uses, and a way to let time pass for whoever keeps it.
#[derive(Clone)]
pub struct ChannelBed {
    /// Who keeps it.
    pub store: Arc<dyn ChannelStore>,
    /// Which channel it is; empty.
    pub id: ChannelId,
    /// Moves the clock of the store.
    pub pass: Arc<dyn Fn(Duration) + Send + Sync>,
}

const MINUTE: Duration = Duration::from_mins(1);

impl ChannelBed {
    async fn act(&self, op: Op) -> Result<Answer, ChannelError> {
        self.store.channel_do(&self.id, op, None).await
    }

    async fn under(&self, guard: &Guard, op: Op) -> Result<Answer, ChannelError> {
        self.store.channel_do(&self.id, op, Some(guard.clone())).await
    }

    async fn value(&self, key: &str) -> Option<Value> {
        match self.act(get(key)).await.expect("it is read") {
            Answer::Found(entry) => entry.map(|entry| entry.value),
            other => panic!("{other:?}"),
        }
    }

    async fn version(&self, key: &str) -> u64 {
        match self.act(get(key)).await.expect("it is read") {
            Answer::Found(Some(entry)) => entry.version,
            other => panic!("{other:?}"),
        }
    }

    async fn lock(&self, holder: &str, fence: u64) -> Result<Held, ChannelError> {
        let holder = Holder { name: holder.to_owned(), fence };
        match self.act(Op::Lock { name: "l".to_owned(), holder, ttl: MINUTE }).await? {
            Answer::Locked(held) => Ok(held),
            other => panic!("{other:?}"),
        }
    }

    async fn keys(&self, range: KeyRange) -> Vec<String> {
        let entries = self.store.channel_entries(&self.id, range).await.expect("a list");
        entries.into_iter().map(|entry| entry.key).collect()
    }
}

fn get(key: &str) -> Op {
    Op::Get { key: key.to_owned() }
}

fn set(key: &str, value: Value) -> Op {
    Op::Set { key: key.to_owned(), value, ttl: None, expect: Expect::Any }
}

fn set_for(key: &str, ttl: Duration) -> Op {
    Op::Set { key: key.to_owned(), value: json!(1), ttl: Some(ttl), expect: Expect::Any }
}

fn set_if(key: &str, value: Value, expect: Expect) -> Op {
    Op::Set { key: key.to_owned(), value, ttl: None, expect }
}

fn add(key: &str, amount: i64) -> Op {
    Op::Add { key: key.to_owned(), amount: Number::from(amount) }
}

fn push(key: &str, value: Value) -> Op {
    Op::Push { key: key.to_owned(), values: vec![value], front: false }
}

fn delete(key: &str) -> Op {
    Op::Delete { key: key.to_owned(), expect: Expect::Any }
}

fn all(prefix: &str) -> KeyRange {
    KeyRange { prefix: prefix.to_owned(), limit: 100, ..KeyRange::default() }
}

/// Numbers, text and nesting come back exactly.
pub async fn a_value_comes_back_as_it_was_written(bed: &ChannelBed) {
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    let values = [
        json!(null),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(1.0),
        json!("'; -- \u{1F600} 任务 \\ \" \u{7f}"),
        json!({"": [{}], "b": false}),
        deep,
    ];
    for (at, value) in values.into_iter().enumerate() {
        let key = format!("key {at} \u{e9}'\"%_");
        bed.act(set(&key, value.clone())).await.expect("written");
        assert_eq!(bed.value(&key).await, Some(value));
    }
    assert_eq!(bed.value("nothing").await, None);
}

/// A write that expects something is done only where that is there.
pub async fn a_write_is_done_only_where_what_it_expects_is_there(bed: &ChannelBed) {
    bed.act(set_if("k", json!(1), Expect::Absent)).await.expect("nothing was there");
    let refused = bed.act(set_if("k", json!(2), Expect::Absent)).await;
    assert!(matches!(refused, Err(ChannelError::Changed { found: Some(_), .. })), "{refused:?}");
    let version = bed.version("k").await;
    bed.act(set_if("k", json!(3), Expect::Version(version))).await.expect("it was that version");
    let stale = Op::Delete { key: "k".to_owned(), expect: Expect::Version(version) };
    assert!(matches!(bed.act(stale).await, Err(ChannelError::Changed { .. })));
    assert_eq!(bed.value("k").await, Some(json!(3)));
    assert_eq!(bed.act(delete("k")).await.expect("removed"), Answer::Removed(true));
    assert_eq!(bed.act(delete("k")).await.expect("an answer"), Answer::Removed(false));
    bed.act(set("k", json!(1))).await.expect("written");
    assert!(bed.version("k").await > version + 1, "no version comes twice");
}

/// Numbers are added to, lists are put into, and neither is done to anything else.
pub async fn sums_and_lists_begin_where_nothing_is(bed: &ChannelBed) {
    let Answer::Sum { value, .. } = bed.act(add("n", 5)).await.expect("added") else { panic!() };
    assert_eq!(value, Number::from(5));
    bed.act(add("n", -7)).await.expect("added");
    assert_eq!(bed.value("n").await, Some(json!(-2)));
    assert!(matches!(bed.act(push("n", json!(1))).await, Err(ChannelError::Type { .. })));
    bed.act(push("l", json!("b"))).await.expect("put");
    let front = Op::Push { key: "l".to_owned(), values: vec![json!("a")], front: true };
    let answer = bed.act(front).await.expect("put");
    assert!(matches!(answer, Answer::Pushed { length: 2, .. }), "{answer:?}");
    assert_eq!(bed.value("l").await, Some(json!(["a", "b"])));
    assert!(matches!(bed.act(add("l", 1)).await, Err(ChannelError::Type { .. })));
}

/// What expires is gone at its moment, for readers, writers and lists alike.
pub async fn a_value_is_gone_when_its_time_is_over(bed: &ChannelBed) {
    bed.act(set_for("k", MINUTE)).await.expect("written");
    bed.act(set_for("kept", MINUTE)).await.expect("written");
    (bed.pass)(Duration::from_millis(59_999));
    assert_eq!(bed.value("k").await, Some(json!(1)));
    let keep = |key: &str| Op::Keep { key: key.to_owned(), ttl: None };
    bed.act(keep("kept")).await.expect("it is there");
    (bed.pass)(Duration::from_millis(1));
    assert_eq!(bed.value("k").await, None);
    assert_eq!(bed.keys(all("")).await, ["kept"]);
    assert!(matches!(bed.act(keep("k")).await, Err(ChannelError::Changed { found: None, .. })));
    bed.act(set_if("k", json!(2), Expect::Absent)).await.expect("nothing is there");
    (bed.pass)(MINUTE * 600);
    assert_eq!(bed.keys(all("")).await, ["k", "kept"], "what is written anew has no end");
}

/// Lists come in pages, in the order of the bytes.
pub async fn keys_are_listed_in_order_and_in_pages(bed: &ChannelBed) {
    for key in ["b", "a/2", "a/10", "a", "\u{e9}", "a/1"] {
        bed.act(set(key, json!(key))).await.expect("written");
    }
    bed.lock("x", 1).await.expect("taken");
    assert_eq!(bed.keys(all("")).await, ["a", "a/1", "a/10", "a/2", "b", "\u{e9}"]);
    assert_eq!(bed.keys(all("a/")).await, ["a/1", "a/10", "a/2"]);
    let page = KeyRange { after: Some("a/1".to_owned()), limit: 2, ..all("a") };
    assert_eq!(bed.keys(page).await, ["a/10", "a/2"]);
    assert_eq!(bed.keys(KeyRange { locks: true, ..all("") }).await, ["l"]);
    assert_eq!(bed.keys(all("c")).await, [""; 0]);
}

/// A lock is one holder's until its time is over or it is given back.
pub async fn a_lock_is_held_by_one_and_lost_with_its_time(bed: &ChannelBed) {
    let first = bed.lock("a", 1).await.expect("taken");
    for (holder, fence) in [("b", 1), ("a", 1), ("a", 0)] {
        let busy = bed.lock(holder, fence).await;
        assert!(matches!(busy, Err(ChannelError::Busy { .. })), "{holder} {fence}: {busy:?}");
    }
    let renew = |token| Op::Renew { name: "l".to_owned(), token, ttl: MINUTE };
    let unlock = |token| Op::Unlock { name: "l".to_owned(), token };
    (bed.pass)(MINUTE / 2);
    bed.act(renew(first.token)).await.expect("renewed");
    (bed.pass)(MINUTE / 2);
    assert!(bed.lock("b", 1).await.is_err(), "it was renewed");
    let again = bed.lock("a", 2).await.expect("a later attempt takes over");
    assert!(again.token > first.token);
    for op in [renew(first.token), unlock(first.token)] {
        assert!(matches!(bed.act(op).await, Err(ChannelError::Lost { .. })));
    }
    (bed.pass)(MINUTE);
    assert!(matches!(bed.act(unlock(again.token)).await, Err(ChannelError::Lost { .. })));
    let other = bed.lock("b", 1).await.expect("its time was over");
    assert!(other.token > again.token);
    bed.act(unlock(other.token)).await.expect("given back");
    assert!(bed.lock("c", 1).await.expect("it is free").token > other.token);
}

/// A change under a lock that was lost is refused, a reading too.
pub async fn what_is_done_under_a_lost_lock_is_refused(bed: &ChannelBed) {
    let held = bed.lock("a", 1).await.expect("taken");
    let guard = Guard { name: "l".to_owned(), token: held.token };
    bed.under(&guard, set("k", json!(1))).await.expect("it is held");
    (bed.pass)(MINUTE);
    for op in [set("k", json!(2)), get("k"), delete("k")] {
        let refused = bed.under(&guard, op).await;
        assert!(matches!(refused, Err(ChannelError::Lost { .. })), "{refused:?}");
    }
    bed.lock("b", 1).await.expect("taken by somebody else");
    assert!(matches!(bed.under(&guard, delete("k")).await, Err(ChannelError::Lost { .. })));
    assert_eq!(bed.value("k").await, Some(json!(1)));
}

/// A space has keys and locks of its own.
pub async fn spaces_do_not_meet(bed: &ChannelBed) {
    let id = ChannelId { space: "part".to_owned(), ..bed.id.clone() };
    let part = ChannelBed { id, ..bed.clone() };
    bed.act(set("k", json!(1))).await.expect("written");
    part.act(set("k", json!(2))).await.expect("written");
    bed.lock("a", 1).await.expect("taken");
    part.lock("b", 1).await.expect("another lock of that name");
    assert_eq!((bed.value("k").await, part.value("k").await), (Some(json!(1)), Some(json!(2))));
    assert_eq!(bed.keys(all("")).await, ["k"]);
}

/// Refused operations change nothing and harm nobody else.
pub async fn what_cannot_be_kept_is_refused(bed: &ChannelBed) {
    let wrong = [
        set("", json!(1)),
        set(&"x".repeat(256), json!(1)),
        set("a\nb", json!(1)),
        set("k", json!("\0")),
        set("k", json!("x".repeat(1 << 20))),
        set_for("k", Duration::ZERO),
    ];
    for op in wrong {
        let refused = bed.act(op).await.expect_err("it cannot be kept");
        let expected =
            matches!(refused, ChannelError::Invalid { .. } | ChannelError::TooLarge { .. });
        assert!(expected, "{refused:?}");
    }
    assert_eq!(bed.keys(all("")).await, [""; 0]);
}

/// Five tasks that each add a hundred times make five hundred.
pub async fn s05_what_is_added_at_once_is_all_there(bed: &ChannelBed) {
    let one = |_| async {
        for _ in 0..100 {
            bed.act(add("n", 1)).await.expect("added");
        }
    };
    join_all((0..5).map(one)).await;
    assert_eq!(bed.value("n").await, Some(json!(500)));
}

/// What several put into a list that was not there is all in it.
pub async fn s05_what_is_appended_at_once_is_all_there(bed: &ChannelBed) {
    let one = |n: usize| async move {
        bed.act(push("l", json!(format!("w{n}")))).await.expect("put");
    };
    join_all((0..3).map(one)).await;
    let list = bed.value("l").await.expect("a list");
    let seen: HashSet<&str> =
        list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(seen, HashSet::from(["w0", "w1", "w2"]));
}

/// A counter that overflows at ten, fifty times under a lock.
pub async fn s05_what_is_done_under_a_lock_is_done_one_after_another(bed: &ChannelBed) {
    let number = async |key: &str| bed.value(key).await.and_then(|n| n.as_i64()).unwrap_or(0);
    let one = |n: usize| async move {
        for _ in 0..10 {
            let held = loop {
                match bed.lock(&format!("w{n}"), 1).await {
                    Ok(held) => break held,
                    Err(ChannelError::Busy { .. }) => tokio::task::yield_now().await,
                    Err(other) => panic!("{other}"),
                }
            };
            let guard = Guard { name: "l".to_owned(), token: held.token };
            let counter = number("counter").await;
            if counter >= 10 {
                bed.under(&guard, set("counter", json!(0))).await.expect("it is held");
                let overflow = number("overflow").await + 1;
                bed.under(&guard, set("overflow", json!(overflow))).await.expect("it is held");
            } else {
                bed.under(&guard, set("counter", json!(counter + 1))).await.expect("it is held");
            }
            let unlock = Op::Unlock { name: "l".to_owned(), token: held.token };
            bed.act(unlock).await.expect("it is held");
        }
    };
    join_all((0..5).map(one)).await;
    assert_eq!((number("overflow").await, number("counter").await), (4, 6));
}

/// A channel takes so much, and what expired makes room.
pub async fn a_full_channel_takes_no_more_until_something_goes(bed: &ChannelBed) {
    for part in 0..MAX_KEYS / 500 {
        let sets = (0..500).map(|n| bed.act(set_for(&format!("{part}/{n}"), MINUTE)));
        for done in join_all(sets).await {
            done.expect("there is room");
        }
    }
    let full = bed.act(set("one more", json!(1))).await;
    assert!(matches!(full, Err(ChannelError::Full { .. })), "{full:?}");
    assert!(matches!(bed.lock("a", 1).await, Err(ChannelError::Full { .. })));
    bed.act(set("0/0", json!(2))).await.expect("it takes no more room");
    bed.act(delete("0/1")).await.expect("removed");
    bed.act(set("one more", json!(1))).await.expect("there is room");
    (bed.pass)(MINUTE);
    bed.act(set("two more", json!(1))).await.expect("what expired makes room");
    assert_eq!(bed.keys(all("")).await, ["0/0", "one more", "two more"]);
}

/// Whatever several clients do at once looks as if it had been done one after another.
pub async fn operations_are_linearizable(bed: &ChannelBed) {
    for round in 0..12_u64 {
        let id = ChannelId { space: format!("round {round}"), ..bed.id.clone() };
        // Versions are those of the whole channel, so a round begins where the last one ended.
        let place = ChannelBed { id, ..bed.clone() };
        place.act(set("begin", json!(0))).await.expect("written");
        let begin = place.version("begin").await;
        let moment = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..4_u64)
            .map(|client| {
                let (place, moment) = (place.clone(), Arc::clone(&moment));
                tokio::spawn(async move { client_of(&place, &moment, round * 4 + client).await })
            })
            .collect();
        let mut history = Vec::new();
        for client in clients {
            history.extend(client.await.expect("a client"));
        }
        assert!(is_linearizable(&history, begin), "round {round}: {history:#?}");
    }
}

/// One operation as its caller saw it.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When it was called, in an order that all callers share.
    pub called: u64,
    /// When it was answered.
    pub answered: u64,
    /// What was asked.
    pub op: Op,
    /// What was said.
    pub said: Result<Answer, String>,
}

async fn client_of(bed: &ChannelBed, moment: &AtomicU64, seed: u64) -> Vec<Observed> {
    let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut roll = |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % below
    };
    let mut heard = Vec::new();
    let mut last = 0;
    let mut token = 0;
    for step in 0..8 {
        let key = ["a", "b"][usize::try_from(roll(2)).unwrap_or(0)];
        let op = match roll(8) {
            0 => get(key),
            1 => set(key, json!(seed * 100 + step)),
            2 => set_if(key, json!(seed * 100 + step), Expect::Version(last)),
            3 => set_if(key, json!([]), Expect::Absent),
            4 => delete(key),
            5 => add(key, 1),
            6 => push(key, json!(seed)),
            _ if token == 0 => Op::Lock {
                name: "l".to_owned(),
                holder: Holder { name: format!("c{seed}"), fence: step },
                ttl: MINUTE,
            },
            _ => Op::Unlock { name: "l".to_owned(), token },
        };
        let called = moment.fetch_add(1, Ordering::SeqCst);
        let said = bed.act(op.clone()).await;
        let answered = moment.fetch_add(1, Ordering::SeqCst);
        match &said {
            Ok(Answer::Found(Some(entry))) => last = entry.version,
            Ok(Answer::Written { version, .. } | Answer::Sum { version, .. }) => last = *version,
            Ok(Answer::Locked(held)) => token = held.token,
            Ok(Answer::Unlocked) | Err(ChannelError::Lost { .. }) => token = 0,
            _ => {}
        }
        let said = said.map_err(|error| without_moments(&error));
        heard.push(Observed { called, answered, op, said });
    }
    heard
}

/// The words of a refusal; a clock that goes on would make each of its own.
fn without_moments(error: &ChannelError) -> String {
    match error {
        ChannelError::Busy { name, holder, .. } => format!("{name} is held by {holder}"),
        other => other.to_string(),
    }
}

/// A channel as the rules have it, one operation after another.
#[derive(Debug, Clone, Default)]
struct Model {
    cells: BTreeMap<Slot, Cell>,
    version: u64,
}

impl Model {
    fn act(&mut self, op: &Op) -> Result<Answer, String> {
        let slot = op.slot();
        let view = View {
            cell: self.cells.get(&slot),
            lock: None,
            size: Size::default(),
            next: self.version + 1,
            now: Timestamp(0),
        };
        let (change, answer) = step(op, None, view).map_err(|error| without_moments(&error))?;
        match change {
            Change::None => return Ok(answer),
            Change::Put(cell) => drop(self.cells.insert(slot, cell)),
            Change::Remove => drop(self.cells.remove(&slot)),
        }
        self.version += 1;
        Ok(answer)
    }
}

/// Whether some order of the operations explains every answer: each operation between its call and its
/// answer, and the answers those of the rules. The search of Wing and Gong, with the sets that were
/// tried kept.
pub fn is_linearizable(history: &[Observed], version: u64) -> bool {
    assert!(history.len() <= 64, "a set is kept in one number");
    let everything = u64::MAX >> (64 - history.len().max(1));
    let mut tried: HashSet<(u64, String)> = HashSet::new();
    let mut open = vec![(0_u64, Model { version, ..Model::default() })];
    while let Some((done, model)) = open.pop() {
        if done == everything || history.is_empty() {
            return true;
        }
        let left = || history.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0);
        // Nothing that was called after an answer can have come before it.
        let first_answer = left().map(|(_, each)| each.answered).min().unwrap_or(0);
        for (at, next) in left().filter(|(_, each)| each.called < first_answer) {
            let mut after = model.clone();
            let said = after.act(&next.op);
            let after_set = done | (1 << at);
            if same(&said, &next.said) && tried.insert((after_set, format!("{after:?}"))) {
                open.push((after_set, after));
            }
        }
    }
    false
}

/// Whether two answers say the same; the ends of locks and values are moments, which the model has not.
fn same(model: &Result<Answer, String>, seen: &Result<Answer, String>) -> bool {
    match (model, seen) {
        (Ok(Answer::Locked(one)), Ok(Answer::Locked(two))) => one.token == two.token,
        (one, two) => one == two,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(called: u64, answered: u64, sum: i64) -> Observed {
        let said = Ok(Answer::Sum { value: sum.into(), version: sum.unsigned_abs() });
        Observed { called, answered, op: add("n", 1), said }
    }

    #[test]
    fn the_checker_takes_what_can_be_ordered_and_nothing_else() {
        assert!(is_linearizable(&[], 0));
        assert!(is_linearizable(&[observed(0, 3, 2), observed(1, 2, 1)], 0));
        assert!(!is_linearizable(&[observed(0, 3, 1), observed(1, 2, 1)], 0), "a lost update");
        assert!(!is_linearizable(&[observed(0, 1, 2), observed(2, 3, 1)], 0), "out of order");
        let stale =
            Observed { called: 2, answered: 3, op: get("n"), said: Ok(Answer::Found(None)) };
        assert!(!is_linearizable(&[observed(0, 1, 1), stale.clone()], 0), "a stale reading");
        assert!(is_linearizable(&[observed(0, 4, 1), stale], 0), "they were at the same time");
    }
}
