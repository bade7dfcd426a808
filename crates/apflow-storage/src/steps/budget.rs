//! Putting aside what attempts may spend, and settling what they spent.
//!
//! What is put aside is a row for each attempt that runs. It is written in the transaction of the claim
//! and goes in the transaction in which the lease ends, whatever ends it, so that the rows and the
//! running tasks always agree. What was spent is added to its budgets in the transaction that takes the
//! report; a report that comes too late is refused with all it says.

use std::collections::{BTreeSet, HashMap};

use apflow_core::{
    budget::{
        Account, Allowance, Amount, Budget, BudgetKey, Decision, Demand, Notice, Period, Rules,
        Scope, Unit, Usage, decide,
    },
    id::{LeaseToken, TaskId},
    store::{BudgetDecision, BudgetFilter, EventKind, MAX_BUDGETS, NewBudget, Page, StoreError},
    task::{Definition, Failure, FailureKind, Held, HeldBy, State, Task, Wait, WaitFor},
    transition::{Event, Refused},
};
use serde_json::{Value, json};

use super::{Effects, Working};
use crate::{
    rows::{ClaimedRow, Rows},
    rows_budget::{BudgetRow, NewUsageRow, ReservationRow, SpenderRow, Whose, scopes},
};

/// So many tasks that wait for a budget look again when something of it is released. Each that finds
/// nothing waits again, and the next release wakes as many.
const LOOK_AGAIN: u32 = 16;

/// So many look again when somebody changed a budget.
const ALL_LOOK_AGAIN: u32 = 10_000;

/// What a transaction has to put right about spending.
#[derive(Default)]
pub(crate) struct Books {
    released: Vec<i64>,
    charges: Vec<(i64, u32, Usage)>,
}

impl Books {
    /// The attempt for which something was put aside has ended.
    pub(super) fn release(&mut self, seq: i64) {
        self.released.push(seq);
    }

    /// An attempt reported what it spent.
    pub(super) fn charge(&mut self, seq: i64, attempt: u32, usage: &Usage) {
        self.charges.push((seq, attempt, usage.clone()));
    }

    fn is_balanced(&self) -> bool {
        self.released.is_empty() && self.charges.is_empty()
    }
}

/// Writes what was spent and releases what was put aside. True if tasks were set free.
pub(crate) async fn balance<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
) -> Result<bool, StoreError> {
    if work.books().is_balanced() {
        return Ok(false);
    }
    let Books { released, charges } = std::mem::take(work.books());
    let now = work.now;
    rows.lock_budgets().await?;
    let about: BTreeSet<i64> =
        released.iter().copied().chain(charges.iter().map(|(seq, ..)| *seq)).collect();
    let about: Vec<i64> = about.into_iter().collect();
    let spenders: HashMap<i64, SpenderRow> =
        rows.spenders(&about).await?.into_iter().map(|row| (row.task, row)).collect();
    let whose: BTreeSet<Whose> = spenders.values().flat_map(SpenderRow::scopes).collect();
    let whose: Vec<Whose> = whose.into_iter().collect();
    let mut budgets = read(rows.budgets(&whose).await?, work)?;
    if !released.is_empty() {
        rows.release(&released).await?;
    }
    let usage: Vec<NewUsageRow> = charges
        .into_iter()
        .filter_map(|(seq, attempt, usage)| {
            let spender = spenders.get(&seq)?.clone();
            let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
            Some(NewUsageRow {
                spender,
                model: usage.model,
                attempt: i64::from(attempt),
                input: count(usage.input_tokens),
                output: count(usage.output_tokens),
                cost: usage.cost.unwrap_or_default(),
            })
        })
        .collect();
    if !usage.is_empty() {
        rows.add_usage(&usage, now).await?;
        let mut changed = Vec::new();
        for budget in &mut budgets {
            let spent = usage.iter().filter(|row| concerns(&budget.key, &row.spender));
            let sum = spent.fold(0_i64, |sum, row| {
                sum.saturating_add(match budget.key.unit {
                    Unit::Tokens => row.input.saturating_add(row.output),
                    Unit::Usd => row.cost.0,
                })
            });
            if sum > 0 {
                budget.used = budget.used.saturating_add(sum);
                changed.push(budget.clone());
            }
        }
        if !changed.is_empty() {
            rows.save_budgets(&changed, now).await?;
        }
    }
    if budgets.is_empty() {
        return Ok(false);
    }
    let holders: BTreeSet<String> = budgets.iter().map(|budget| budget.key.holder()).collect();
    let holders: Vec<String> = holders.into_iter().collect();
    Ok(!rows.free_held(&holders, LOOK_AGAIN, now).await?.is_empty())
}

fn concerns(key: &BudgetKey, spender: &SpenderRow) -> bool {
    spender.scopes().iter().any(|(scope, id)| *scope == key.scope && *id == key.scope_id)
}

/// Budgets as they stand now; one that cannot be read is set aside and bounds nobody.
fn read(rows: Vec<BudgetRow>, work: &mut Working) -> Result<Vec<Budget>, StoreError> {
    rows.into_iter().map(|row| row.budget(work.now)).collect()
}

/// What the claim of a task is told of its spending.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    pub(crate) allowance: Allowance,
    pub(crate) model: Option<String>,
    pub(crate) notices: Vec<Notice>,
}

/// Decides about the tasks that spend among those that are about to be taken, and does with those that
/// may not begin what their budgets say. The others come back with what they may spend.
pub(crate) async fn admit<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    found: &[ClaimedRow],
    claim: &apflow_core::store::Claim,
) -> Result<HashMap<i64, Admitted>, StoreError> {
    let mut decided = HashMap::new();
    let mut spending: Vec<(&ClaimedRow, &Definition, Demand)> = found
        .iter()
        .filter(|row| !row.demo)
        .filter_map(|row| {
            let definition = row.definition.as_deref().ok()?;
            Some((row, definition, claim.rules.demand(definition)?))
        })
        .collect();
    if spending.is_empty() {
        return Ok(decided);
    }
    let place = |seq: i64| work.task(seq).map(|task| (task.priority, task.turn, seq));
    spending.sort_by_key(|(row, ..)| place(row.seq));
    rows.lock_budgets().await?;
    let whose: BTreeSet<Whose> = spending
        .iter()
        .flat_map(|(row, definition, _)| {
            scopes(&row.id, &row.tree_id, definition.user_id.as_deref())
        })
        .collect();
    let whose: Vec<Whose> = whose.into_iter().collect();
    let budgets = read(rows.budgets(&whose).await?, work)?;
    let mut aside = if budgets.is_empty() { Vec::new() } else { rows.reserved().await? };
    let mut new = Vec::new();
    for (row, definition, demand) in spending {
        let Some(task) = work.task(row.seq) else { continue };
        let user = definition.user_id.as_deref();
        let whose = scopes(&row.id, &row.tree_id, user);
        let accounts = accounts(task, row, definition, &whose, &budgets, &aside, &claim.rules);
        let decision = decide(&accounts, &demand, &claim.rules.prices);
        if let Decision::Go { reserve, .. } = &decision {
            let reservation = ReservationRow {
                task: row.seq,
                task_id: row.id.clone(),
                tree_id: row.tree_id.clone(),
                user_id: definition.user_id.clone(),
                amount: *reserve,
            };
            aside.push(reservation.clone());
            new.push(reservation);
        }
        decided.insert(row.seq, Admitted::of(decision, &accounts, &demand, &claim.rules));
    }
    if !new.is_empty() {
        rows.reserve(&new).await?;
    }
    Ok(decided)
}

/// The budgets that concern a task, as they stand with what was put aside in this transaction.
fn accounts(
    task: &Task,
    row: &ClaimedRow,
    definition: &Definition,
    whose: &[Whose],
    budgets: &[Budget],
    aside: &[ReservationRow],
    rules: &Rules,
) -> Vec<Account> {
    let facets = task.facets();
    let named = definition.governance.cost_policy.as_deref();
    let waived = facets.budget_waived;
    let mut accounts: Vec<Account> = Vec::new();
    if let Some(limit) = definition.governance.token_budget {
        accounts.push(Account {
            key: BudgetKey {
                scope: Scope::Task,
                scope_id: row.id.clone(),
                unit: Unit::Tokens,
                period: Period::Total,
            },
            limit,
            used: facets.spent.total(),
            reserved: 0,
            policy: rules.policy(named),
            waived,
        });
    }
    for budget in budgets {
        let is_its_own = whose
            .iter()
            .any(|(scope, id)| *scope == budget.key.scope && *id == budget.key.scope_id);
        if !is_its_own {
            continue;
        }
        let reserved = aside
            .iter()
            .filter(|row| row.concerns(budget.key.scope, &budget.key.scope_id))
            .fold(0_i64, |sum, row| sum.saturating_add(row.amount.of(budget.key.unit)));
        accounts.push(Account {
            key: budget.key.clone(),
            limit: budget.limit,
            used: budget.used,
            reserved,
            policy: rules.policy(budget.policy.as_deref().or(named)),
            waived,
        });
    }
    accounts
}

/// What was decided about a task that spends.
pub(crate) enum Admitted {
    /// It may begin.
    On(Terms),
    /// It waits for what others have put aside.
    Held(Held, Period),
    /// It ends.
    Refused(String),
    /// It waits for somebody's decision.
    Asks(Wait),
}

impl Admitted {
    fn of(decision: Decision, accounts: &[Account], demand: &Demand, rules: &Rules) -> Self {
        match decision {
            Decision::Go { allowance, model, notices, .. } => {
                Self::On(Terms { allowance, model, notices })
            }
            Decision::Hold { key } => {
                let held = Held { by: HeldBy::Budget, key: key.holder(), until: None };
                Self::Held(held, key.period)
            }
            Decision::Refuse { why } => {
                let unknown = demand.policy.as_deref().filter(|name| rules.is_unknown(Some(name)));
                let also = match unknown {
                    Some(name) if !accounts.is_empty() => {
                        format!(" (there is no policy `{name}`, so the limit holds)")
                    }
                    _ => String::new(),
                };
                Self::Refused(format!(
                    "{why}{also}; raise it with budgets.set, or wait for its next period, and run \
                     the task again"
                ))
            }
            Decision::Ask { why, key, used, limit } => Self::Asks(Wait::new(
                WaitFor::Budget,
                json!({
                    "why": why,
                    "scope": key.scope,
                    "scope_id": key.scope_id,
                    "unit": key.unit,
                    "period": key.period,
                    "used": key.unit.json(used),
                    "limit": key.unit.json(limit),
                }),
            )),
        }
    }
}

/// Does with a task what its budgets say. True if an attempt begins.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    seq: i64,
    admitted: &Admitted,
    claimed: Event,
) -> Result<bool, StoreError> {
    match admitted {
        Admitted::Held(held, period) => {
            let until = period.ends(work.now);
            // It was ready a moment ago.
            let _ = work.apply(seq, Event::Held { held: Held { until, ..held.clone() } });
            return Ok(false);
        }
        Admitted::Refused(_) => {
            // What is claimed comes without its tree and its dependents; a failure concerns them.
            let Some(forest) = work.task(seq).map(|task| task.forest.0) else { return Ok(false) };
            work.whole(rows, &[forest]).await?;
        }
        Admitted::On(_) | Admitted::Asks(_) => {}
    }
    if work.apply(seq, claimed).is_err() {
        return Ok(false);
    }
    let Some((lease, tree)) = work.task(seq).map(|task| (task.token, task.tree.0)) else {
        return Ok(false);
    };
    match admitted {
        Admitted::On(terms) => {
            work.set_facets(seq, |facets| facets.reserved = true);
            for notice in &terms.notices {
                work.note(tree, seq, EventKind::BudgetNoticed, &told(notice));
            }
            Ok(true)
        }
        Admitted::Refused(why) => {
            end(work, seq, lease, why);
            Ok(false)
        }
        Admitted::Asks(wait) => {
            let event = Event::Parked { lease, wait: wait.clone(), until: None };
            // It was claimed a moment ago under this very lease.
            let _ = work.apply(seq, event);
            Ok(false)
        }
        Admitted::Held(..) => Ok(false),
    }
}

fn end(work: &mut Working, seq: i64, lease: LeaseToken, why: &str) {
    let failure = Failure::new(FailureKind::BudgetExhausted, why);
    // It was claimed a moment ago under this very lease.
    let _ = work.apply(seq, Event::Stumbled { lease, failure, retry_at: None });
}

/// What listeners are told of a budget that comes to its limit.
fn told(notice: &Notice) -> Value {
    let Notice { key, used, limit } = notice;
    json!({
        "scope": key.scope,
        "scope_id": key.scope_id,
        "unit": key.unit,
        "period": key.period,
        "used": key.unit.json(*used),
        "limit": key.unit.json(*limit),
    })
}

/// Sets a budget and lets those look again who wait for it. Says also whether anybody does.
pub(crate) async fn set<R: Rows + ?Sized>(
    rows: &mut R,
    wish: &NewBudget,
) -> Result<(Budget, Effects), StoreError> {
    let now = rows.now().await?;
    let NewBudget { key, limit, policy } = wish;
    rows.lock_budgets().await?;
    if rows.count_budgets().await? >= MAX_BUDGETS {
        let why = format!("there are {MAX_BUDGETS} budgets, and no more are kept");
        return Err(StoreError::Rejected(vec![why]));
    }
    let whose = (key.scope, key.scope_id.clone());
    let since = key.period.began(now);
    // Summed up anew each time: what was spent is the truth, and a budget its shadow.
    let used = rows.used_since(&whose, since).await?.of(key.unit);
    let known = rows.budgets(std::slice::from_ref(&whose)).await?;
    let before = known
        .into_iter()
        .filter_map(|row| row.budget(now).ok())
        .find(|budget| budget.key == *key)
        .map_or(0, |budget| budget.used);
    let budget = Budget {
        key: key.clone(),
        limit: *limit,
        policy: policy.clone(),
        // Reports that were forgotten meanwhile still count.
        used: used.max(before),
        reserved: 0,
        since,
    };
    rows.save_budgets(std::slice::from_ref(&budget), now).await?;
    let freed = rows.free_held(&[key.holder()], ALL_LOOK_AGAIN, now).await?;
    let reserved =
        rows.reserved().await?.iter().filter(|row| row.concerns(key.scope, &key.scope_id)).fold(
            Amount::default(),
            |sum, row| Amount {
                tokens: sum.tokens.saturating_add(row.amount.tokens),
                money: sum.money + row.amount.money,
            },
        );
    let effects = Effects { readied: !freed.is_empty(), ..Effects::default() };
    Ok((Budget { reserved: reserved.of(key.unit), ..budget }, effects))
}

/// Removes a budget; those who wait for it look again.
pub(crate) async fn delete<R: Rows + ?Sized>(
    rows: &mut R,
    key: &BudgetKey,
) -> Result<(bool, Effects), StoreError> {
    let now = rows.now().await?;
    rows.lock_budgets().await?;
    let gone = rows.delete_budget(key).await?;
    let freed = rows.free_held(&[key.holder()], ALL_LOOK_AGAIN, now).await?;
    Ok((gone, Effects { readied: !freed.is_empty(), ..Effects::default() }))
}

/// Budgets as they stand.
pub(crate) async fn list<R: Rows + ?Sized>(
    rows: &mut R,
    filter: &BudgetFilter,
    page: Page,
) -> Result<Vec<Budget>, StoreError> {
    let now = rows.now().await?;
    rows.list_budgets(filter, page).await?.into_iter().map(|row| row.budget(now)).collect()
}

/// Decides about a task that asked before it spends.
pub(crate) async fn decide_about<R: Rows + ?Sized>(
    rows: &mut R,
    id: &TaskId,
    decision: &BudgetDecision,
) -> Result<Effects, StoreError> {
    let found = rows.find(&[id.as_str()]).await?;
    let Some(found) = found.into_iter().next() else {
        return Err(StoreError::NoSuchTask(id.clone()));
    };
    let opening = rows.open(&[found.seq], 0).await?;
    let mut work = Working::new(opening.now);
    work.take_in(opening);
    // A denial ends the task, and that may concern the whole submission.
    work.whole(rows, &[found.forest]).await?;
    let state = work.task(found.seq).map(|task| task.state.clone());
    let asks = matches!(&state, Some(State::Waiting { wait, .. }) if wait.what == WaitFor::Budget);
    if !asks {
        let name = state.map_or(apflow_core::task::StateName::Created, |state| state.name());
        let refused = Refused::OutOfOrder { state: name };
        return Err(StoreError::Refused { id: id.clone(), refused });
    }
    let refused = |refused| StoreError::Refused { id: id.clone(), refused };
    if decision.approve {
        work.set_facets(found.seq, |facets| facets.budget_waived = true);
        work.apply(found.seq, Event::Answered).map_err(refused)?;
    } else {
        let by = decision.by.as_deref().map_or_else(String::new, |by| format!(" by {by}"));
        let why = format!("more spending was denied{by}");
        let failure = Some(Failure::new(FailureKind::BudgetExhausted, why));
        work.apply(found.seq, Event::Reported { failure }).map_err(refused)?;
    }
    work.carry_through(rows).await?;
    work.finish_with(rows).await
}
