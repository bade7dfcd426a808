//! Settling a batch and claiming the next one in the same transaction.

use apflow_core::{
    store::{Claim, Ended, Refusal, Settled, Settlement, StoreError},
    time::Timestamp,
    transition::Event,
};

use super::{Effects, Working, budget, claim};
use crate::rows::Rows;

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

    let mut answers = Vec::with_capacity(parts.len());
    let mut fresh = claim::Fresh::new();
    for (batch, _) in parts {
        let mut answer = Settled { now: work.now, ..Settled::default() };
        for item in *batch {
            match settle_one(&mut work, item) {
                Ok(()) => {
                    if let Ended::Completed { result } = &item.outcome {
                        fresh.insert(item.seq.0, result);
                    }
                }
                // What it carries is nobody's input.
                Err(why) => answer.refused.push(Refusal { seq: item.seq, why }),
            }
        }
        answers.push(answer);
    }
    work.carry_through(rows).await?;
    // Whoever claims now can have what was put aside for those who ended.
    let freed = budget::balance(rows, &mut work).await?;

    let mut candidates = claim::in_order(&work, ready);
    for (answer, (_, ask)) in answers.iter_mut().zip(parts) {
        if let Some(ask) = ask {
            answer.claimed = claim::claim(rows, &mut work, &mut candidates, ask, &fresh).await?;
        }
    }
    if wanted > 0 && candidates.is_empty() {
        // Whoever was told would find nothing.
        work.nothing_is_left();
    }
    if freed {
        work.something_is_free();
    }
    // A task whose row could not be read has failed meanwhile.
    work.carry_through(rows).await?;
    let next_wake = next_wake.into_iter().chain(work.next_wake()).min();
    for answer in &mut answers {
        answer.more = freed || !candidates.is_empty();
        answer.next_wake = next_wake;
    }
    let effects = work.finish_with(rows).await?;
    Ok((answers, effects))
}

fn settle_one(
    work: &mut Working,
    item: &Settlement,
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
            let until = at_most.map(|delay| now.after(delay));
            (Event::Parked { lease, wait: wait.clone(), until }, None)
        }
        Ended::HandedBack => (Event::HandedBack { lease }, None),
    };
    let attempt = work.task(item.seq.0).map_or(0, |task| task.attempts);
    work.apply(item.seq.0, event)?;
    work.charge(item.seq.0, attempt, &item.notes.usage);
    // Maps of JSON always have a JSON form.
    let resolved = item.resolved_inputs.as_ref().and_then(|map| serde_json::to_string(map).ok());
    work.keep(item.seq.0, resolved, output.map(ToString::to_string));
    Ok(())
}
