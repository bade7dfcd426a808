//! Settling a batch and claiming the next one in the same transaction.

use apflow_core::{
    store::{Claim, Ended, Refusal, Settled, Settlement, StoreError},
    time::Timestamp,
    transition::Event,
};

use super::{Effects, Working, claim, effects, flow, snapshot, waits};
use crate::rows::Rows;

/// How often one transaction looks behind tasks that it had to hold.
const ROUNDS: u32 = 8;

/// One caller's part of a batch.
pub(crate) type Part<'a> = (&'a [Settlement], Option<&'a Claim>);

/// Settles what several callers report, and gives each the tasks it asks for.
pub(crate) async fn settle<R: Rows + ?Sized>(
    rows: &mut R,
    parts: &[Part<'_>],
) -> Result<(Vec<Settled>, Effects), StoreError> {
    let settling: Vec<i64> =
        parts.iter().flat_map(|(batch, _)| *batch).map(|item| item.seq.0).collect();
    let wanted = claim::wanted(parts.iter().filter_map(|(_, next)| *next));
    // One more than wanted tells whether asking again is worth while.
    let mut asked = if wanted == 0 { 0 } else { wanted.saturating_add(1) };
    let parking = waits::before_parking(rows, parts, &settling).await?;
    let opening = rows.open(&settling, asked).await?;
    let next_wake = opening.next_wake.map(Timestamp);
    let mut work = Working::new(opening.now);
    let mut found = opening.ready.len();
    let mut ready = work.take_in(opening);
    while found > ready.len() && found == asked as usize {
        // Rows that cannot be read lie at the head of the queue; those behind them are wanted.
        asked = asked.saturating_add(u32::try_from(found - ready.len()).unwrap_or(u32::MAX));
        let opening = rows.open(&[], asked).await?;
        if opening.ready.len() == found {
            break;
        }
        found = opening.ready.len();
        ready = work.take_in(opening);
    }

    flow::begin(rows, &mut work).await?;
    let mut answers = Vec::with_capacity(parts.len());
    let mut ended = Vec::new();
    let mut fresh = claim::Fresh::new();
    // Snapshots that were asked for by tasks that have completed; taken when all of it is written.
    let mut deferred = Vec::new();
    for (batch, _) in parts {
        let mut answer = Settled { now: work.now, ..Settled::default() };
        for item in *batch {
            // Most ask for nothing, and nothing is read for them.
            let settled = if item.notes.wishes.effects.is_empty() {
                settle_one(&mut work, item, None)
            } else {
                effects::settle(rows, &mut work, item).await?
            };
            match settled {
                Ok(()) => {
                    if !item.notes.breakers.is_empty() {
                        ended.push(item);
                    }
                    parking.follow(rows, &mut work, item.seq.0).await?;
                    if let Ended::Completed { result } = &item.outcome {
                        fresh.insert(item.seq.0, result);
                        for wish in &item.notes.snapshots {
                            let task = wish.task.clone();
                            deferred.push((task, wish.name.clone(), wish.note.clone()));
                        }
                    }
                }
                // What it carries is nobody's input.
                Err(why) => answer.refused.push(Refusal { seq: item.seq, why }),
            }
        }
        answers.push(answer);
    }
    work.carry_through(rows).await?;

    flow::hear(rows, &mut work, &ended).await?;
    flow::look(rows, &mut work, false).await?;

    let mut candidates = claim::in_order(&work, ready);
    let mut rounds = 0;
    loop {
        let mut taken = 0;
        let on_offer = candidates.len();
        for (answer, (_, ask)) in answers.iter_mut().zip(parts) {
            if let Some(ask) = ask {
                let more = claim::more(ask, answer.claimed.len());
                let came = claim::claim(rows, &mut work, &mut candidates, &more, &fresh).await?;
                taken += came.len();
                answer.claimed.extend(came);
            }
        }
        // Those who were held stood in the way of others behind them.
        let held = on_offer - candidates.len() > taken;
        let is_more_behind = found == asked as usize;
        if !(held && candidates.is_empty() && is_more_behind) || rounds == ROUNDS {
            break;
        }
        rounds += 1;
        work.flush(rows).await?;
        let opening = rows.open(&[], asked).await?;
        found = opening.ready.len();
        let ready = work.take_in(opening);
        candidates = claim::in_order(&work, ready);
    }
    let behind = rounds == ROUNDS && found == asked as usize;
    if wanted > 0 && candidates.is_empty() && !behind {
        // Whoever was told would find nothing.
        work.nothing_is_left();
    }
    // A task whose row could not be read has failed meanwhile.
    work.carry_through(rows).await?;
    flow::look(rows, &mut work, false).await?;
    let next_wake = next_wake.into_iter().chain(work.next_wake()).min();
    for answer in &mut answers {
        answer.more = !candidates.is_empty() || behind;
        answer.next_wake = next_wake;
    }
    let effects = work.finish_with(rows).await?;
    if !deferred.is_empty() {
        snapshot::take_deferred(rows, &deferred).await?;
    }
    Ok((answers, effects))
}

/// Applies one report; `instead` is the event where it is not the one that the report means.
pub(super) fn settle_one(
    work: &mut Working,
    item: &Settlement,
    instead: Option<Event>,
) -> Result<(), apflow_core::transition::Refused> {
    let now = work.now;
    let lease = item.lease;
    let (event, output) = match &item.outcome {
        Ended::Completed { result } => (Event::Succeeded { lease }, Some(result)),
        Ended::Failed { failure, retry_after, result } => {
            let retry_at = retry_after.map(|delay| now.after(delay));
            let output = Some(result).filter(|value| !value.is_null());
            (Event::Stumbled { lease, failure: failure.clone(), retry_at }, output)
        }
        Ended::Parked { wait, at_most } => {
            let until = at_most.map(|delay| now.after(delay)).or_else(|| waits::moment_of(wait));
            (Event::Parked { lease, wait: wait.clone(), until }, None)
        }
        Ended::HandedBack | Ended::Held(_) => (Event::HandedBack { lease }, None),
        Ended::Skipped { why } => {
            (Event::PassedOver { lease: Some(lease), why: why.clone() }, None)
        }
    };
    work.apply(item.seq.0, instead.unwrap_or(event))?;
    if let Some(progress) = &item.notes.progress {
        work.remember_progress(item.seq.0, progress);
    }
    if let Ended::Held(held) = &item.outcome {
        flow::send_back(work, item.seq.0, held)?;
    }
    // Maps of JSON always have a JSON form.
    let resolved = item.resolved_inputs.as_ref().and_then(|map| serde_json::to_string(map).ok());
    work.keep(item.seq.0, resolved, output.map(ToString::to_string));
    Ok(())
}
