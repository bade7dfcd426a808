//! Schedules in the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::watch;

use super::{MemoryStore, control, record, rows::Rows};
use crate::{
    firing::{self, Act, Look, MOST_WAITING, REMEMBERED, Standing},
    id::TaskId,
    schedule::Plan,
    store::{
        Backfill, Backfilled, Cancel, DrivenRun, EventKind, Fire, Fired, FiredSlot, Page,
        ScheduleFilter, ScheduleStore, Start, StartScope, StoreError,
    },
    task::{Failure, FailureKind, Record, Schedule, StateName, Status},
    time::Timestamp,
    transition::Event,
};

/// The schedule of one task: where it stands, and its slots with when each fired.
#[derive(Debug, Clone, Default)]
pub(super) struct Scheduled {
    pub(super) standing: Standing,
    slots: BTreeMap<Timestamp, Option<Timestamp>>,
}

impl Scheduled {
    fn oldest(&self) -> Option<Timestamp> {
        self.slots.iter().find(|(_, fired)| fired.is_none()).map(|(slot, _)| *slot)
    }

    fn drop_waiting(&mut self) {
        self.slots.retain(|_, fired| fired.is_some());
    }

    fn forget(&mut self) {
        while self.slots.len() > usize::try_from(REMEMBERED).unwrap_or(usize::MAX) {
            self.slots.pop_first();
        }
    }
}

/// A new task is put on its schedule.
pub(super) fn put(rows: &mut Rows, at: usize) {
    let now = rows.now;
    let Some(row) = rows.row(at) else { return };
    if row.definition.schedule.schedule_type.is_some() {
        let schedule = &row.definition.schedule;
        let standing =
            Standing::anew(Standing::default(), &row.id, schedule, now).unwrap_or_default();
        rows.schedules.insert(at, Scheduled { standing, ..Scheduled::default() });
        rows.rescheduled = true;
    }
}

/// The author of a task changed its schedule.
pub(super) fn follow_update(rows: &mut Rows, at: usize, old: &Schedule) -> Result<(), StoreError> {
    let now = rows.now;
    let Some(row) = rows.row(at) else { return Ok(()) };
    let (id, new) = (row.id.clone(), row.definition.schedule.clone());
    let mut scheduled = rows.schedules.get(&at).cloned().unwrap_or_default();
    let before = scheduled.standing;
    let standing = before.changed(&id, old, &new, now).map_err(StoreError::InvalidSchedule)?;
    if new.schedule_type.is_none() {
        rows.schedules.remove(&at);
        return Ok(());
    }
    if standing.waiting < before.waiting {
        scheduled.drop_waiting();
    }
    scheduled.standing = standing;
    rows.schedules.insert(at, scheduled);
    rows.rescheduled = true;
    Ok(())
}

/// A run begins that the schedule of the task did not begin.
pub(super) fn count_run(rows: &mut Rows, at: usize) -> Result<(), StoreError> {
    driven(rows, at, false)
}

fn driven(rows: &mut Rows, at: usize, advance: bool) -> Result<(), StoreError> {
    let now = rows.now;
    let Some(row) = rows.row(at) else { return Ok(()) };
    let (id, tree, schedule) = (row.id.clone(), row.tree, row.definition.schedule.clone());
    let Some(scheduled) = rows.schedules.get_mut(&at) else { return Ok(()) };
    let plan = scheduled.standing.plan(&schedule).map_err(StoreError::InvalidSchedule)?;
    if let Some(slot) = scheduled.standing.slot.filter(|slot| advance && *slot <= now) {
        scheduled.slots.entry(slot).or_insert(Some(now));
    }
    let ended = scheduled.standing.driven(plan.as_ref(), &id, advance, now);
    if let Some(ending) = ended {
        let detail = json!({ "why": ending.as_str() });
        rows.append(EventKind::ScheduleEnded, tree, Some(at), detail);
    }
    rows.rescheduled = true;
    Ok(())
}

fn is_busy(rows: &Rows, forest: usize) -> bool {
    rows.all().any(|(_, row)| row.forest == forest && row.task.state.is_live())
}

fn fire(rows: &mut Rows, wish: &Fire) -> Fired {
    let now = rows.now;
    let mine = |rows: &Rows, at: usize| {
        let owner = rows.row(at).and_then(|row| row.definition.user_id.as_deref());
        wish.user_id.is_none() || owner == wish.user_id.as_deref()
    };
    let mut due: Vec<(Option<Timestamp>, usize)> = rows
        .schedules
        .iter()
        .filter(|(at, scheduled)| {
            let Some(row) = rows.row(**at) else { return false };
            let is_due = scheduled.standing.due_at.is_some_and(|at| at <= now);
            let may_go_on = scheduled.standing.waiting > 0 && !is_busy(rows, row.forest);
            mine(rows, **at) && (is_due || may_go_on)
        })
        .map(|(at, scheduled)| (scheduled.standing.due_at, *at))
        .collect();
    due.sort_unstable();
    due.truncate(usize::try_from(wish.limit).unwrap_or(usize::MAX));
    let looked_at = u32::try_from(due.len()).unwrap_or(u32::MAX);
    let mut fired = Fired { looked_at, now, ..Fired::default() };
    for (_, at) in due {
        fire_one(rows, at, &mut fired);
    }
    let left = rows.schedules.iter().filter(|(at, _)| mine(rows, **at));
    for (_, scheduled) in left {
        fired.waiting |= scheduled.standing.waiting > 0;
        fired.next = fired.next.into_iter().chain(scheduled.standing.due_at).min();
    }
    fired
}

fn fire_one(rows: &mut Rows, at: usize, fired: &mut Fired) {
    let now = rows.now;
    let Some(row) = rows.row(at) else { return };
    let (task, tree, forest) = (row.id.clone(), row.tree, row.forest);
    let Some(mut scheduled) = rows.schedules.get(&at).cloned() else { return };
    let standing = scheduled.standing;
    let plan: Plan = match standing.plan(&row.definition.schedule) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            rows.schedules.remove(&at);
            return;
        }
        Err(problems) => {
            scheduled.drop_waiting();
            scheduled.standing =
                Standing { enabled: false, slot: None, due_at: None, waiting: 0, ..standing };
            rows.schedules.insert(at, scheduled);
            let detail = json!({ "why": "invalid", "error": problems.to_string() });
            rows.append(EventKind::ScheduleEnded, tree, Some(at), detail);
            return;
        }
    };
    let mut due = standing.due(&plan, now);
    due.fire.retain(|slot| !scheduled.slots.contains_key(slot));
    let look = Look {
        task: &task,
        plan: &plan,
        standing,
        oldest: scheduled.oldest(),
        busy: is_busy(rows, forest),
        due,
        now,
    };
    let act: Act = firing::act(&look);
    if act.cancel {
        let reason = "the next slot of its schedule came".to_owned();
        let open: Vec<TaskId> = rows
            .all()
            .filter(|(_, row)| {
                let state = &row.task.state;
                row.forest == forest && !state.is_terminal() && state.name() != StateName::Created
            })
            .map(|(_, row)| row.id.clone())
            .collect();
        for task in open {
            control::cancel(rows, &Cancel { task, reason: reason.clone() });
        }
    }
    if let Some(slot) = act.start {
        let start = Start {
            task: task.clone(),
            scope: StartScope::Afresh,
            reexecute: true,
            callback: None,
        };
        // Nothing of the submission moves.
        let begun = control::begin(rows, &start);
        debug_assert!(begun.is_ok(), "{begun:?}");
        scheduled.slots.insert(slot, Some(now));
        fired.runs.push(FiredSlot { task, tree: rows.trees[tree].record.id.clone(), slot });
    }
    if act.forget_line {
        scheduled.drop_waiting();
    }
    scheduled.slots.extend(act.line_up.iter().map(|slot| (*slot, None)));
    scheduled.standing = act.standing;
    scheduled.forget();
    rows.schedules.insert(at, scheduled);
    if act.late + act.overlapped > 0 {
        let detail = json!({ "late": act.late, "overlapped": act.overlapped });
        rows.append(EventKind::SlotSkipped, tree, Some(at), detail);
        fired.skipped += act.late + act.overlapped;
    }
    if let Some(slot) = act.start {
        let detail = json!({ "slot": slot, "run": act.standing.runs });
        rows.append(EventKind::SlotFired, tree, Some(at), detail);
    }
    if let Some(ending) = act.ended {
        let detail = json!({ "why": ending.as_str() });
        rows.append(EventKind::ScheduleEnded, tree, Some(at), detail);
    }
}

fn init(rows: &mut Rows, id: &TaskId, from: Option<Timestamp>) -> Result<(), StoreError> {
    let now = rows.now;
    let (at, row) = rows.find(id).ok_or_else(|| StoreError::NoSuchTask(id.clone()))?;
    let mut schedule = row.definition.schedule.clone();
    let scheduled =
        rows.schedules.get_mut(&at).ok_or_else(|| StoreError::NoSchedule(id.clone()))?;
    let before = scheduled.standing;
    schedule.schedule_enabled = before.enabled;
    let plan = before.plan(&schedule).map_err(StoreError::InvalidSchedule)?;
    if plan.is_none() {
        return Err(StoreError::NoSchedule(id.clone()));
    }
    let standing = Standing::anew(before, id, &schedule, from.unwrap_or(now))
        .map_err(StoreError::InvalidSchedule)?;
    scheduled.standing = Standing { waiting: before.waiting, ..standing };
    rows.rescheduled = true;
    Ok(())
}

fn complete(rows: &mut Rows, run: &DrivenRun) -> Result<(), StoreError> {
    let now = rows.now;
    let (at, row) = rows.find(&run.task).ok_or_else(|| StoreError::NoSuchTask(run.task.clone()))?;
    let (forest, status) = (row.forest, row.task.state.status());
    if let (Some(why), Status::InProgress) = (&run.failure, status) {
        let failure = Some(Failure::new(FailureKind::Reported, why.clone()));
        // Ready and retrying tasks are in progress too, and nobody's to report.
        let _ = rows.send(at, Event::Reported { failure });
        rows.spread(forest);
    }
    if rows.schedules.contains_key(&at) {
        return driven(rows, at, run.advance);
    }
    if let Some(row) = rows.row_mut(at) {
        let definition = std::sync::Arc::make_mut(&mut row.definition);
        definition.schedule.run_count += 1;
        definition.schedule.last_run_at = Some(now);
    }
    Ok(())
}

fn backfill(rows: &mut Rows, wish: &Backfill) -> Result<Backfilled, StoreError> {
    let now = rows.now;
    let (at, row) =
        rows.find(&wish.task).ok_or_else(|| StoreError::NoSuchTask(wish.task.clone()))?;
    let schedule = row.definition.schedule.clone();
    let scheduled =
        rows.schedules.get_mut(&at).ok_or_else(|| StoreError::NoSchedule(wish.task.clone()))?;
    let standing = scheduled.standing;
    let plan = standing
        .plan(&schedule)
        .map_err(StoreError::InvalidSchedule)?
        .ok_or_else(|| StoreError::NoSchedule(wish.task.clone()))?;
    let ends = [Some(wish.range.end), Some(now), standing.slot];
    let until = ends.into_iter().flatten().min().unwrap_or(now);
    let room = (MOST_WAITING - standing.waiting).min(i64::from(wish.limit));
    let most = usize::try_from(room).unwrap_or(0);
    let most =
        plan.runs_left().map_or(most, |left| most.min(usize::try_from(left).unwrap_or(usize::MAX)));
    let mut answer = Backfilled::default();
    for slot in plan.slots(wish.range.start, until, 10_000) {
        if scheduled.slots.contains_key(&slot) {
            answer.fired_before += 1;
        } else if answer.slots.len() == most {
            answer.cut_short = true;
            break;
        } else {
            answer.slots.push(slot);
        }
    }
    if !wish.dry_run {
        scheduled.slots.extend(answer.slots.iter().map(|slot| (*slot, None)));
        scheduled.standing.waiting += i64::try_from(answer.slots.len()).unwrap_or(0);
        rows.rescheduled = true;
    }
    Ok(answer)
}

fn passes(record: &Record, filter: &ScheduleFilter) -> bool {
    let (schedule, status) = (&record.definition.schedule, record.task.state.status());
    let is_due = |before: Timestamp| {
        schedule.next_run_at.is_some_and(|at| at <= before) && status != Status::InProgress
    };
    (filter.user_id.is_none() || record.definition.user_id == filter.user_id)
        && (filter.kind.is_none() || schedule.schedule_type == filter.kind)
        && filter.status.is_none_or(|only| status == only)
        && (!filter.enabled_only || schedule.schedule_enabled)
        && filter.due_before.is_none_or(is_due)
}

#[async_trait]
impl ScheduleStore for MemoryStore {
    async fn fire(&self, wish: Fire) -> Result<Fired, StoreError> {
        self.may_fail()?;
        self.change(|rows| Ok(fire(rows, &wish)))
    }

    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<Record>, StoreError> {
        let rows = self.lock();
        let mut found: Vec<Record> = rows
            .schedules
            .keys()
            .filter_map(|at| record(&rows, *at))
            .filter(|record| passes(record, filter))
            .collect();
        found.sort_by_key(|record| {
            let slot = record.definition.schedule.next_run_at;
            (slot.is_none(), slot, record.task.seq)
        });
        let from = usize::try_from(page.offset).unwrap_or(usize::MAX);
        Ok(found.into_iter().skip(from).take(page.limit as usize).collect())
    }

    async fn init_schedule(
        &self,
        task: &TaskId,
        from: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.change(|rows| init(rows, task, from))
    }

    async fn complete_run(&self, run: DrivenRun) -> Result<(), StoreError> {
        self.change(|rows| complete(rows, &run))
    }

    async fn backfill(&self, wish: Backfill) -> Result<Backfilled, StoreError> {
        self.change(|rows| backfill(rows, &wish))
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.schedules.subscribe()
    }
}
