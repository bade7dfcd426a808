//! Who may begin: what a transaction reads and writes of slots, paces and breakers.
//!
//! What holds a task is decided by [`Gate`]; here its lines are read, locked and written. A task that
//! leaves a line in which others may stand behind it makes the transaction look at that line again
//! before it ends, so that nobody waits for a slot that is free.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use apflow_core::{
    breaker::{Breaker, Report},
    flow::{Flow, Gate, Line, MOST_FREED, SharedLimit, Verdict},
    store::{MAX_SHARED, Settlement, StoreError},
    task::{Facets, Held, HeldBy},
    time::Timestamp,
    transition::Event,
};

use super::{Effects, Working};
use crate::rows::Rows;
use crate::rows_flow;

/// Breakers of which nobody spoke for so long are forgotten, whatever they said.
const FORGET_AFTER: std::time::Duration = std::time::Duration::from_hours(48);
/// How long a task is held for that an executor sent back without saying until when.
const A_WHILE: std::time::Duration = std::time::Duration::from_mins(1);

/// What one transaction knows of slots, paces and breakers.
#[derive(Default)]
pub(crate) struct Desk {
    gate: Gate,
    known: BTreeSet<String>,
}

impl Desk {
    /// Writes paces that were used and breakers that changed.
    async fn put_down<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let used = std::mem::take(&mut self.gate.used);
        let paces: Vec<(String, i64)> = used
            .into_iter()
            .filter_map(|key| self.gate.even.get(&key).map(|at| (key.clone(), at.0)))
            .collect();
        if !paces.is_empty() {
            rows.save_paces(&paces, now).await?;
        }
        let changed = std::mem::take(&mut self.gate.changed);
        if changed.is_empty() {
            return Ok(());
        }
        let changed: Vec<Breaker> =
            changed.iter().filter_map(|key| self.gate.breakers.get(key).cloned()).collect();
        let (gone, stay): (Vec<Breaker>, Vec<Breaker>) =
            changed.into_iter().partition(|breaker| breaker.is_forgotten(now));
        let gone: Vec<String> = gone.into_iter().map(|breaker| breaker.key).collect();
        let before = i64::try_from(FORGET_AFTER.as_micros()).unwrap_or(i64::MAX);
        rows.save_breakers(&stay, &gone, Timestamp(now.0.saturating_sub(before))).await
    }
}

/// The flow of a task that runs, from its stored facets.
pub(crate) fn flow_in(facets: &str) -> Option<Flow> {
    serde_json::from_str::<Facets>(facets).ok()?.flow
}

/// Locks and reads whatever is not known yet about these keys.
///
/// What the transaction has changed is written first, so that what is read is how things stand.
async fn learn<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    keys: BTreeSet<String>,
) -> Result<(), StoreError> {
    let new: Vec<String> = keys.difference(&work.desk.known).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    rows.lock_flow(&new).await?;
    for row in rows.load_limits(&new).await? {
        let limit = rows_flow::limit(row)?;
        work.desk.gate.shared.insert(limit.key.clone(), limit);
    }
    for (key, at) in rows.load_paces(&new).await? {
        work.desk.gate.even.insert(key, Timestamp(at));
    }
    for row in rows.load_breakers(&new).await? {
        let breaker = rows_flow::breaker(row)?;
        work.desk.gate.breakers.insert(breaker.key.clone(), breaker);
    }
    work.desk.known.extend(new);
    count(rows, work).await
}

/// Counts the slots that are taken, from the leases there are.
async fn count<R: Rows + ?Sized>(rows: &mut R, work: &mut Working) -> Result<(), StoreError> {
    work.flush(rows).await?;
    work.desk.gate.running.clear();
    work.desk.gate.probing.clear();
    for facets in rows.running_facets().await? {
        if let Some(flow) = flow_in(&facets) {
            work.desk.gate.count(&flow);
        }
    }
    Ok(())
}

/// Locks and reads what is to be known about tasks that are in the transaction from its beginning.
///
/// Taking all locks at once, in order, keeps two transactions from waiting for each other.
pub(crate) async fn begin<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
) -> Result<(), StoreError> {
    let keys = work.flow_keys();
    if keys.is_empty() { Ok(()) } else { learn(rows, work, keys).await }
}

/// The same for tasks that came to it later.
pub(super) async fn prepare<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    candidates: &[i64],
) -> Result<(), StoreError> {
    let flows = candidates.iter().filter_map(|seq| work.task(*seq)?.flow());
    let keys: BTreeSet<String> = flows.flat_map(Flow::keys).map(str::to_owned).collect();
    if keys.is_empty() { Ok(()) } else { learn(rows, work, keys).await }
}

/// Whether a task may begin now; one that may not is held. A task that stands in no line always may.
pub(super) fn may_begin(work: &mut Working, seq: i64) -> bool {
    let Some(flow) = work.task(seq).and_then(|task| task.flow()).cloned() else { return true };
    let now = work.now;
    match work.desk.gate.ask(&flow, now) {
        Verdict::Begins(probes) => {
            if probes != flow.probes {
                work.set_flow(seq, |flow| flow.probes = probes);
            }
            true
        }
        Verdict::Held(held) => {
            // It goes to the end of its line; only the first ones there are given a moment, so that
            // not all of them wake for the one that may begin.
            let line = Line::of(held.by, &held.key);
            work.look_at(line);
            let held = Held { until: None, ..held };
            // Whatever can be claimed can be held.
            let _ = work.apply(seq, Event::Held { held });
            false
        }
    }
}

/// Takes in what attempts that have ended say of breakers.
pub(super) async fn hear<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    ended: &[&Settlement],
) -> Result<(), StoreError> {
    let said: Vec<(i64, &Report)> = ended
        .iter()
        .flat_map(|item| item.notes.breakers.iter().map(|report| (item.seq.0, report)))
        .collect();
    if said.is_empty() {
        return Ok(());
    }
    // A breaker of which nothing is known has nothing to learn from what worked.
    let all: BTreeSet<String> = said.iter().map(|(_, report)| report.key.clone()).collect();
    let asked: Vec<String> = all.iter().cloned().collect();
    let known: HashSet<String> =
        rows.load_breakers(&asked).await?.into_iter().map(|(key, ..)| key).collect();
    let failing: HashSet<&str> =
        said.iter().filter(|(_, it)| !it.worked).map(|(_, it)| it.key.as_str()).collect();
    let heard: BTreeSet<String> = all
        .into_iter()
        .filter(|key| known.contains(key) || failing.contains(key.as_str()))
        .collect();
    if heard.is_empty() {
        return Ok(());
    }
    learn(rows, work, heard.clone()).await?;
    let now = work.now;
    for (seq, report) in said {
        if !heard.contains(&report.key) {
            continue;
        }
        let probe = work
            .task(seq)
            .and_then(|task| task.flow())
            .is_some_and(|flow| flow.probes.contains(&report.key));
        work.desk.gate.hear(report, probe, now);
        if work.desk.gate.changed.contains(&report.key) {
            work.look_at(Line::of(HeldBy::Breaker, &report.key));
        }
    }
    Ok(())
}

/// Holds a task that its attempt has sent back.
pub(super) fn send_back(
    work: &mut Working,
    seq: i64,
    held: &Held,
) -> Result<(), apflow_core::transition::Refused> {
    let mut held = held.clone();
    if held.by == HeldBy::Breaker {
        held.until = None;
        work.set_flow(seq, |flow| flow.learn(&held.key));
        work.look_at(Line::of(held.by, &held.key));
    } else {
        // Nobody else knows when that is over.
        held.until.get_or_insert(work.now.after(A_WHILE));
    }
    work.apply(seq, Event::Held { held })
}

/// Looks at every line that somebody has left, and writes what was used and what changed.
///
/// Lines of shared keys without a limit are looked at only where `all` says so: somebody has just taken
/// the limit away.
pub(crate) async fn look<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    all: bool,
) -> Result<(), StoreError> {
    loop {
        let lines = work.take_lines();
        if lines.is_empty() {
            break;
        }
        learn(rows, work, lines.iter().map(|line| line.key.clone()).collect()).await?;
        count(rows, work).await?;
        for line in lines {
            if all || !work.desk.gate.is_open(&line) {
                look_at(rows, work, &line).await?;
            }
        }
    }
    let mut desk = std::mem::take(&mut work.desk);
    let written = desk.put_down(rows, work.now).await;
    work.desk = desk;
    written
}

/// Sets free whoever may begin of one line, in order.
async fn look_at<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    line: &Line,
) -> Result<(), StoreError> {
    // Mostly one has left and one may follow.
    let mut asked = if line.by == HeldBy::Rate.as_str() { 32 } else { 1 };
    let mut freed = 0;
    loop {
        let found = rows.load_line(line.by, &line.key, asked).await?;
        let seqs: Vec<i64> = found.iter().map(|row| row.seq).collect();
        work.take_more(&found);
        let heads: Vec<(Flow, Option<Timestamp>)> = seqs
            .iter()
            .filter_map(|seq| {
                let task = work.task(*seq)?;
                let until = task.held.as_ref().and_then(|held| held.until);
                Some((task.flow().cloned().unwrap_or_default(), until))
            })
            .collect();
        if heads.len() < seqs.len() {
            // A row that cannot be read is set aside; the others are looked at when one leaves.
            return Ok(());
        }
        let answer = work.desk.gate.heads(line, &heads, freed, work.now);
        for at in &answer.freed {
            // It was held a moment ago, and the row is locked.
            let _ = work.apply(seqs[*at], Event::Freed);
        }
        for (at, until) in &answer.timed {
            let by = work.task(seqs[*at]).and_then(|task| task.held.as_ref()).map(|held| held.by);
            if let Some(by) = by {
                let held = Held { by, key: line.key.clone(), until: Some(*until) };
                let _ = work.apply(seqs[*at], Event::Held { held });
            }
        }
        freed += u32::try_from(answer.freed.len()).unwrap_or(u32::MAX);
        let full = u32::try_from(found.len()).is_ok_and(|found| found == asked);
        if !(answer.more && full) {
            return Ok(());
        }
        work.flush(rows).await?;
        asked = MOST_FREED;
    }
}

/// Sets a shared limit, or removes it; says whether there was one.
pub(crate) async fn set_limit<R: Rows + ?Sized>(
    rows: &mut R,
    key: &str,
    limit: Option<&SharedLimit>,
) -> Result<(Result<bool, &'static str>, Effects), StoreError> {
    let now = rows.now().await?;
    rows.lock_flow(&[key.to_owned()]).await?;
    let existed = if let Some(limit) = limit {
        let there = !rows.load_limits(&[key.to_owned()]).await?.is_empty();
        if !there && rows.count_limits().await? >= i64::from(MAX_SHARED) {
            return Ok((Err("full"), Effects::default()));
        }
        rows.save_limit(limit).await?;
        there
    } else {
        rows.delete_limit(key).await?
    };
    let effects = look_anew(rows, now, &[HeldBy::Concurrency, HeldBy::Rate], key).await?;
    Ok((Ok(existed), effects))
}

/// Closes a breaker by hand; says whether anything was known of it.
pub(crate) async fn reset_breaker<R: Rows + ?Sized>(
    rows: &mut R,
    key: &str,
) -> Result<(bool, Effects), StoreError> {
    let now = rows.now().await?;
    let keys = [key.to_owned()];
    rows.lock_flow(&keys).await?;
    let existed = !rows.load_breakers(&keys).await?.is_empty();
    rows.save_breakers(&[], &keys, Timestamp(i64::MIN)).await?;
    Ok((existed, look_anew(rows, now, &[HeldBy::Breaker], key).await?))
}

async fn look_anew<R: Rows + ?Sized>(
    rows: &mut R,
    now: Timestamp,
    sorts: &[HeldBy],
    key: &str,
) -> Result<Effects, StoreError> {
    let mut work = Working::new(now);
    for by in sorts {
        work.look_at(Line::of(*by, key));
    }
    look(rows, &mut work, true).await?;
    work.finish_with(rows).await
}

/// The turns of new tasks, owner by owner in their order; nothing where turns are not kept.
pub(super) async fn turns<R: Rows + ?Sized>(
    rows: &mut R,
    owners: &BTreeMap<String, i64>,
) -> Result<Option<BTreeMap<String, i64>>, StoreError> {
    let owners: Vec<(String, i64)> =
        owners.iter().map(|(owner, count)| (owner.clone(), *count)).collect();
    if owners.is_empty() {
        return Ok(None);
    }
    let Some(last) = rows.take_turns(&owners).await? else { return Ok(None) };
    let counts: BTreeMap<&str, i64> =
        owners.iter().map(|(owner, count)| (owner.as_str(), *count)).collect();
    let first = |(owner, next): (String, i64)| {
        let count = counts.get(owner.as_str()).copied().unwrap_or(0);
        (owner, next - count)
    };
    Ok(Some(last.into_iter().map(first).collect()))
}
