//! Taking tasks for a worker, in the transaction that is open anyway.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use apflow_core::{
    executor::{Gathered, Given},
    id::{Seq, TaskId, TreeId},
    store::{Claim, Claimed, DeadReason, NeedResult, StoreError},
    task::{Failure, FailureKind, State, StateName, Task},
    time::Timestamp,
    transition::Event,
};
use serde_json::Value;

use super::{
    Working,
    budget::{self, Admitted, Terms},
    checkpoint, effects, flow,
    waits::Answers,
};
use crate::rows::{ClaimedRow, NeedRow, Rows};

/// Tasks in the order they are to be taken: most urgent first, then as they were submitted.
pub(crate) fn in_order(work: &Working, ready: Vec<i64>) -> Vec<i64> {
    let mut candidates: Vec<i64> = ready.into_iter().chain(work.readied()).collect();
    candidates.retain(|seq| work.task(*seq).is_some_and(Task::may_be_claimed));
    let place = |seq: &i64| work.task(*seq).map(|task| (task.priority, task.turn));
    candidates.sort_unstable_by_key(|seq| (place(seq), *seq));
    candidates.dedup();
    candidates
}

/// Results that were reported in this very transaction, by task; the rows do not have them yet.
pub(crate) type Fresh<'a> = HashMap<i64, &'a Value>;

/// Takes as many of `candidates` as `claim` wants, and removes them from the front.
pub(crate) async fn claim<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    candidates: &mut Vec<i64>,
    claim: &Claim,
    fresh: &Fresh<'_>,
) -> Result<Vec<Claimed>, StoreError> {
    let until = work.now.after(claim.lease);
    flow::prepare(rows, work, candidates).await?;
    let wanted = candidates.len().min(usize::try_from(claim.limit).unwrap_or(usize::MAX));
    let mut taking = Vec::with_capacity(wanted);
    let mut looked_at = 0;
    while taking.len() < wanted && looked_at < candidates.len() {
        let seq = candidates[looked_at];
        looked_at += 1;
        // What happened since they were found may concern some of them.
        let is_free = work.task(seq).is_some_and(Task::may_be_claimed);
        if is_free && flow::may_begin(work, seq) {
            taking.push(seq);
        }
    }
    candidates.drain(..looked_at);
    if taking.is_empty() {
        return Ok(Vec::new());
    }
    let (mut found, needs) = rows.claimed(&taking).await?;
    let mut admitted = budget::admit(rows, work, &found, claim).await?;
    let mut taken = Vec::with_capacity(taking.len());
    for seq in taking {
        let event = Event::Claimed { worker: claim.worker.clone(), until };
        let begins = match admitted.get(&seq) {
            None => work.apply(seq, event).is_ok(),
            Some(admitted) => budget::carry_out(rows, work, seq, admitted, event).await?,
        };
        if begins {
            taken.push(seq);
        }
    }
    if taken.len() < found.len() {
        let begun: HashSet<i64> = taken.iter().copied().collect();
        found.retain(|row| begun.contains(&row.seq));
    }
    let needs = needs_by_task(needs, work, fresh);
    let mut answers = super::waits::answers(rows, work, &taken).await?;
    let mut gathered = effects::gathered(rows, work, &taken, fresh).await?;
    let mut claimed: Vec<Claimed> = Vec::with_capacity(taken.len());
    for row in found {
        let seq = row.seq;
        let left = (answers.remove(&seq).unwrap_or_default(), gathered.remove(&seq));
        match describe(row, work, &needs, left) {
            Ok(described) => claimed.extend(described.map(|task| Claimed {
                given: on_terms(task.given, admitted.remove(&seq)),
                ..task
            })),
            Err(error) => give_up(rows, work, seq, &error).await?,
        }
    }
    checkpoint::hand_over(rows, work, &mut claimed).await?;
    claimed
        .sort_by_key(|task| work.task(task.seq.0).map(|held| (held.priority, held.turn, held.seq)));
    Ok(claimed)
}

fn describe(
    row: ClaimedRow,
    work: &Working,
    needs: &HashMap<i64, Vec<NeedResult>>,
    left: (Answers, Option<Vec<Gathered>>),
) -> Result<Option<Claimed>, StoreError> {
    let Some(task) = work.task(row.seq) else { return Ok(None) };
    let State::Running { lease, attempt, .. } = task.state else { return Ok(None) };
    let definition = row.definition.map_err(|error| StoreError::Corrupt {
        table: "af_tasks",
        row: row.id.clone(),
        what: format!("definition: {error}"),
    })?;
    Ok(Some(Claimed {
        seq: Seq(row.seq),
        id: TaskId::new(row.id),
        tree_id: TreeId::new(row.tree_id),
        tree: task.tree,
        lease,
        run: u32::try_from(row.run).unwrap_or(u32::MAX),
        attempt,
        demo: row.demo,
        definition,
        needs: needs.get(&row.seq).cloned().unwrap_or_default(),
        given: given(task, left),
        tree_deadline: row.deadline.map(Timestamp),
        now: work.now,
    }))
}

/// What the attempt may spend, if it spends.
fn on_terms(given: Given, admitted: Option<Admitted>) -> Given {
    match admitted {
        Some(Admitted::On(Terms { allowance, model, notices })) => {
            Given { allowance, model, notices, ..given }
        }
        _ => given,
    }
}

/// What is left of earlier attempts and passes.
fn given(task: &Task, (answers, gathered): (Answers, Option<Vec<Gathered>>)) -> Given {
    let Some(facets) = &task.facets else { return Given::default() };
    let probes = facets.flow.as_ref().map_or_else(Vec::new, |flow| flow.probes.clone());
    Given {
        cycle: facets.cycle,
        progress: facets.progress.clone(),
        deadline: task.deadline(),
        probes,
        answers,
        cycle_data: facets.cycle_data.clone().map(Arc::new),
        rounds: facets.rounds,
        gathered,
        space: facets.spawned.as_ref().and_then(|spawned| spawned.space.clone()),
        ..Given::default()
    }
}

/// A task whose row cannot be read fails; the others go on.
async fn give_up<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    seq: i64,
    error: &StoreError,
) -> Result<(), StoreError> {
    tracing::error!(%error, "a row was set aside");
    if let StoreError::Corrupt { table, row, what } = error {
        rows.set_aside(table, row, what).await?;
    }
    let Some((lease, forest)) = work.task(seq).map(|task| (task.token, task.forest.0)) else {
        return Ok(());
    };
    // What is claimed comes without its tree and its dependents; a failure concerns them.
    work.whole(rows, &[forest]).await?;
    let failure = Failure::new(FailureKind::InvalidInput, error.to_string());
    // It was claimed a moment ago under this very lease.
    if work.apply(seq, Event::Stumbled { lease, failure, retry_at: None }).is_ok() {
        work.history.ended_for(seq, DeadReason::Undecodable);
    }
    Ok(())
}

fn needs_by_task(
    rows: Vec<NeedRow>,
    work: &Working,
    fresh: &Fresh<'_>,
) -> HashMap<i64, Vec<NeedResult>> {
    let mut results: HashMap<i64, Option<Arc<Value>>> = HashMap::new();
    let mut needs: HashMap<i64, Vec<NeedResult>> = HashMap::new();
    for row in rows {
        let state = match work.task(row.need) {
            Some(task) => task.state.name(),
            None => StateName::parse(&row.state).unwrap_or(StateName::Created),
        };
        let completed = state == StateName::Completed;
        let result = results
            .entry(row.need)
            .or_insert_with(|| match fresh.get(&row.need) {
                // What lies beside the error of a failed task is not its result.
                _ if !completed => None,
                Some(value) => Some(Arc::new(Value::clone(value))),
                None => serde_json::from_str(row.output.as_deref()?).ok().map(Arc::new),
            })
            .clone();
        needs.entry(row.task).or_default().push(NeedResult {
            id: TaskId::new(row.id),
            executor: row.executor,
            completed,
            state,
            result,
        });
    }
    needs
}

/// What is left of a wish after so many.
pub(crate) fn more(claim: &Claim, taken: usize) -> Claim {
    let taken = u32::try_from(taken).unwrap_or(u32::MAX);
    Claim { limit: claim.limit.saturating_sub(taken), ..claim.clone() }
}

/// Shares of one batch for several workers that ask at once.
pub(crate) fn wanted<'a>(claims: impl Iterator<Item = &'a Claim>) -> u32 {
    claims.fold(0_u32, |sum, claim| sum.saturating_add(claim.limit))
}
