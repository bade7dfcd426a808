//! Schedules: firing what is due, and what people do with them.
//!
//! A schedule is locked before the submission of its task, everywhere; so a scheduler and whoever
//! changes a schedule never wait for each other.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    firing::{self, Act, Ending, Look, MOST_WAITING, REMEMBERED, Standing},
    id::TaskId,
    problem::Problems,
    schedule::{Due, Plan},
    store::{
        Backfill, Backfilled, DrivenRun, EventKind, Fire, Fired, FiredSlot, StartScope, StoreError,
    },
    task::{Definition, Failure, FailureKind, Schedule, StateName},
    time::Timestamp,
    transition::Event,
};
use serde_json::{Value, json};

use super::{
    Effects, Working,
    control::{apply, begin, find},
    working::Graph,
};
use crate::{
    row::{DueRow, ScheduleRow, SlotRow},
    rows::{ForestTask, Found, Rows},
};

/// After so many runs of a schedule the oldest of its slots are forgotten.
const FORGET_EVERY: i64 = 128;

/// The schedule of a new task, if it has one.
pub(crate) fn of_new_task(
    place: (i64, i64, i64),
    id: &TaskId,
    definition: &Definition,
    now: Timestamp,
) -> Option<ScheduleRow> {
    let schedule = &definition.schedule;
    let kind = schedule.schedule_type.clone()?;
    let (task, tree, forest) = place;
    // What cannot be followed was refused when it was read; whoever stores it all the same gets a
    // schedule that never fires.
    let standing = Standing::anew(Standing::default(), id, schedule, now).unwrap_or_default();
    let user_id = definition.user_id.clone();
    Some(ScheduleRow { task, tree, forest, user_id, kind, standing })
}

/// What a transaction writes about schedules.
#[derive(Debug, Default)]
struct Changes {
    schedules: Vec<ScheduleRow>,
    slots: Vec<SlotRow>,
    /// Tasks of which slots that wait are forgotten.
    dropped: Vec<i64>,
    /// Tasks without a schedule.
    gone: Vec<i64>,
    /// Tasks of which the oldest slots are forgotten.
    aged: Vec<i64>,
}

impl Changes {
    async fn write<R: Rows + ?Sized>(self, rows: &mut R) -> Result<(), StoreError> {
        if !self.gone.is_empty() {
            rows.delete_schedules(&self.gone).await?;
        }
        if !self.dropped.is_empty() {
            rows.drop_waiting(&self.dropped).await?;
        }
        if !self.slots.is_empty() {
            rows.save_slots(&self.slots).await?;
        }
        if !self.schedules.is_empty() {
            rows.save_schedules(&self.schedules).await?;
        }
        if !self.aged.is_empty() {
            rows.forget_slots(&self.aged, REMEMBERED).await?;
        }
        Ok(())
    }
}

/// Fires what is due and what waited for a run that has ended.
pub(crate) async fn fire<R: Rows + ?Sized>(
    rows: &mut R,
    wish: &Fire,
) -> Result<(Fired, Effects), StoreError> {
    let now = rows.now().await?;
    let owner = wish.user_id.as_deref();
    let found = rows.due_schedules(now, wish.limit, owner).await?;
    let mut fired = Fired { now, ..Fired::default() };
    fired.looked_at = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let mut effects = Effects::default();
    if !found.is_empty() {
        let mut pass = Pass::open(rows, now, &found).await?;
        for (due, prepared) in prepare(rows, now, found).await? {
            pass.one(rows, due, prepared).await?;
        }
        pass.work.carry_through(rows).await?;
        effects = pass.work.finish_with(rows).await?;
        pass.changes.write(rows).await?;
        (fired.runs, fired.skipped) = (pass.runs, pass.skipped);
    }
    (fired.next, fired.waiting) = rows.next_schedule(owner).await?;
    Ok((fired, effects))
}

/// What a schedule that was looked at can do.
enum Prepared {
    /// It can be followed.
    Sound { plan: Plan, due: Due },
    /// It was stored before there were schedulers, and gets its first slot now.
    New(Standing),
    /// Its task has none any more.
    None,
    /// It cannot be followed.
    Broken { why: &'static str, error: String },
}

/// Reads the plans, and leaves out slots that fired before.
async fn prepare<R: Rows + ?Sized>(
    rows: &mut R,
    now: Timestamp,
    found: Vec<DueRow>,
) -> Result<Vec<(DueRow, Prepared)>, StoreError> {
    let mut prepared: Vec<(DueRow, Prepared)> =
        found.into_iter().map(|due| (prepare_one(&due, now), due)).map(|(a, b)| (b, a)).collect();
    let slots: Vec<(i64, i64)> = prepared
        .iter()
        .filter_map(|(row, prepared)| match prepared {
            Prepared::Sound { due, .. } => Some((row.row.task, due)),
            _ => None,
        })
        .flat_map(|(task, due)| due.fire.iter().map(move |slot| (task, slot.0)))
        .collect();
    if slots.is_empty() {
        return Ok(prepared);
    }
    let taken: HashSet<(i64, i64)> =
        rows.taken_slots(&slots).await?.into_iter().map(|(task, slot, _)| (task, slot)).collect();
    for (row, prepared) in &mut prepared {
        if let Prepared::Sound { due, .. } = prepared {
            due.fire.retain(|slot| !taken.contains(&(row.row.task, slot.0)));
        }
    }
    Ok(prepared)
}

fn prepare_one(due: &DueRow, now: Timestamp) -> Prepared {
    let schedule = match &due.definition {
        Ok(definition) => &definition.schedule,
        Err(error) => return Prepared::Broken { why: "unreadable", error: error.clone() },
    };
    if schedule.schedule_type.is_none() {
        return Prepared::None;
    }
    let broken = |problems: Problems| Prepared::Broken { why: "invalid", error: said(&problems) };
    let standing = &due.row.standing;
    if due.row.kind.is_empty() {
        return match Standing::anew(Standing::default(), &due.id, schedule, now) {
            Ok(standing) => Prepared::New(standing),
            Err(problems) => broken(problems),
        };
    }
    match standing.plan(schedule) {
        Ok(Some(plan)) => {
            let due = standing.due(&plan, now);
            Prepared::Sound { plan, due }
        }
        Ok(None) => Prepared::None,
        Err(problems) => broken(problems),
    }
}

/// What is wrong with a schedule, in one sentence.
fn said(problems: &Problems) -> String {
    problems.0.first().map(|problem| problem.detail.clone()).unwrap_or_default()
}

/// One look at schedules that are due.
struct Pass {
    work: Working,
    /// The tasks of each submission.
    forests: HashMap<i64, Vec<ForestTask>>,
    changes: Changes,
    runs: Vec<FiredSlot>,
    skipped: u64,
}

impl Pass {
    async fn open<R: Rows + ?Sized>(
        rows: &mut R,
        now: Timestamp,
        due: &[DueRow],
    ) -> Result<Self, StoreError> {
        let mut seqs: Vec<i64> = due.iter().map(|due| due.row.forest).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let mut work = Working::new(now);
        let (forest_rows, trees, tasks) = rows.forests(&seqs).await?;
        work.take_in_forests(forest_rows, trees, &tasks);
        let mut forests: HashMap<i64, Vec<ForestTask>> = HashMap::new();
        for task in tasks {
            forests.entry(task.hot.forest).or_default().push(task);
        }
        Ok(Self { work, forests, changes: Changes::default(), runs: Vec::new(), skipped: 0 })
    }

    async fn one<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        due: DueRow,
        prepared: Prepared,
    ) -> Result<(), StoreError> {
        let (plan, slots) = match prepared {
            Prepared::Sound { plan, due } => (plan, due),
            Prepared::New(standing) => {
                // It begins now; the run it may be due for at once comes with the next look.
                let kind = match &due.definition {
                    Ok(definition) => definition.schedule.schedule_type.clone(),
                    Err(_) => None,
                };
                let kind = kind.unwrap_or_default();
                self.changes.schedules.push(ScheduleRow { kind, standing, ..due.row });
                return Ok(());
            }
            Prepared::None => {
                self.changes.gone.push(due.row.task);
                return Ok(());
            }
            Prepared::Broken { why, error } => {
                self.give_up(due, why, &error);
                return Ok(());
            }
        };
        let busy = self.is_busy(due.row.forest) || self.is_read(rows, due.row.forest).await?;
        let act = firing::act(&Look {
            task: &due.id,
            plan: &plan,
            standing: due.row.standing,
            oldest: due.oldest,
            busy,
            due: slots,
            now: self.work.now,
        });
        if act.cancel {
            self.cancel(rows, &due).await?;
        }
        if act.start.is_some() {
            match self.start(rows, &due).await {
                // Options of its tree that cannot be read are this schedule's affair alone.
                Err(StoreError::Corrupt { table, row, what }) => {
                    self.give_up(due, "unreadable", &format!("row {row} of {table}: {what}"));
                    return Ok(());
                }
                other => other?,
            }
        }
        self.note(&due, &act);
        self.keep(due, act);
        Ok(())
    }

    fn is_busy(&self, forest: i64) -> bool {
        let tasks = self.forests.get(&forest).map(Vec::as_slice).unwrap_or_default();
        tasks
            .iter()
            .any(|task| self.work.task(task.hot.seq).is_some_and(|task| task.state.is_live()))
    }

    /// Whether running trees read results of this submission through links, or it reads some itself
    /// that are not there.
    async fn is_read<R: Rows + ?Sized>(
        &self,
        rows: &mut R,
        forest: i64,
    ) -> Result<bool, StoreError> {
        let tasks = self.forests.get(&forest).map(Vec::as_slice).unwrap_or_default();
        let seqs: Vec<i64> = tasks.iter().map(|task| task.hot.seq).collect();
        Ok(rows.running_reader(forest, &seqs).await?.is_some()
            || rows.unfinished_original(forest).await?.is_some())
    }

    fn graph(&self, forest: i64) -> Graph {
        self.work.graph(self.forests.get(&forest).map(Vec::as_slice).unwrap_or_default())
    }

    /// Cancels whatever runs in the submission, to the end.
    async fn cancel<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        due: &DueRow,
    ) -> Result<(), StoreError> {
        let seqs: Vec<i64> = self
            .forests
            .get(&due.row.forest)
            .map(|tasks| tasks.iter().map(|task| task.hot.seq).collect())
            .unwrap_or_default();
        for seq in seqs {
            let is_open = self.work.task(seq).is_some_and(|task| {
                !task.state.is_terminal() && task.state.name() != StateName::Created
            });
            if is_open {
                let reason = "the next slot of its schedule came".to_owned();
                apply(&mut self.work, seq, Event::CancelRequested { reason })?;
            }
        }
        self.work.carry_through(rows).await
    }

    async fn start<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        due: &DueRow,
    ) -> Result<(), StoreError> {
        let mut graph = self.graph(due.row.forest);
        let target = (due.row.task != due.row.tree).then_some(due.row.task);
        let scope = StartScope::Afresh;
        let begun = begin(rows, &mut self.work, &mut graph, target, scope, true).await?;
        // Nothing moves: that was looked at under the lock of the submission.
        begun.map(drop).ok_or(StoreError::Conflict)
    }

    /// Writes into the journal what the schedule did.
    fn note(&mut self, due: &DueRow, act: &Act) {
        let (tree, task) = (due.row.tree, due.row.task);
        let mut note = |kind, detail: Value| self.work.note(tree, task, kind, &detail);
        if act.late + act.overlapped > 0 {
            let detail = json!({ "late": act.late, "overlapped": act.overlapped });
            note(EventKind::SlotSkipped, detail);
        }
        if let Some(slot) = act.start {
            note(EventKind::SlotFired, json!({ "slot": slot, "run": act.standing.runs }));
        }
        if let Some(ending) = act.ended {
            note(EventKind::ScheduleEnded, json!({ "why": ending.as_str() }));
        }
    }

    /// Keeps what is to be written.
    fn keep(&mut self, due: DueRow, act: Act) {
        let (task, now) = (due.row.task, self.work.now.0);
        let Act { start, line_up, forget_line, late, overlapped, standing, .. } = act;
        self.skipped += late + overlapped;
        if forget_line {
            self.changes.dropped.push(task);
        }
        if let Some(slot) = start {
            self.changes.slots.push(SlotRow { task, slot: slot.0, fired_at: Some(now) });
            self.runs.push(FiredSlot {
                task: due.id,
                tree: apflow_core::id::TreeId::new(due.tree_id),
                slot,
            });
            if standing.runs % FORGET_EVERY == 0 {
                self.changes.aged.push(task);
            }
        }
        let waits = |slot: &Timestamp| SlotRow { task, slot: slot.0, fired_at: None };
        self.changes.slots.extend(line_up.iter().map(waits));
        self.changes.schedules.push(ScheduleRow { standing, ..due.row });
    }

    /// A schedule that cannot be followed goes off and says why; the others go on.
    fn give_up(&mut self, due: DueRow, why: &str, error: &str) {
        tracing::error!(task = %due.id, error, "a schedule cannot be followed and was switched off");
        let detail = json!({ "why": why, "error": error });
        self.work.note(due.row.tree, due.row.task, EventKind::ScheduleEnded, &detail);
        let standing =
            Standing { enabled: false, slot: None, due_at: None, waiting: 0, ..due.row.standing };
        self.changes.dropped.push(due.row.task);
        self.changes.schedules.push(ScheduleRow { standing, ..due.row });
    }
}

/// The schedule of one task, locked.
pub(crate) async fn of_task<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
) -> Result<Option<DueRow>, StoreError> {
    Ok(rows.schedules(&[found.seq]).await?.into_iter().next())
}

fn authored(due: &DueRow) -> Result<&Definition, StoreError> {
    due.definition.as_deref().map_err(|error| StoreError::Corrupt {
        table: "af_tasks",
        row: due.id.to_string(),
        what: format!("definition: {error}"),
    })
}

/// Finds the next slot anew.
pub(crate) async fn init<R: Rows + ?Sized>(
    rows: &mut R,
    id: &TaskId,
    from: Option<Timestamp>,
) -> Result<Effects, StoreError> {
    let found = find(rows, id).await?;
    let now = rows.now().await?;
    let due = of_task(rows, &found).await?.ok_or_else(|| StoreError::NoSchedule(id.clone()))?;
    let before = due.row.standing;
    let authored = authored(&due)?;
    let kind = authored
        .schedule
        .schedule_type
        .clone()
        .ok_or_else(|| StoreError::NoSchedule(id.clone()))?;
    let mut schedule = authored.schedule.clone();
    if !due.row.kind.is_empty() {
        // It may have gone off by itself since its author switched it on.
        schedule.schedule_enabled = before.enabled;
    }
    if standing_plan(&before, &schedule)?.is_none() {
        return Err(StoreError::NoSchedule(id.clone()));
    }
    let standing = Standing::anew(before, id, &schedule, from.unwrap_or(now))
        .map_err(StoreError::InvalidSchedule)?;
    let standing = Standing { waiting: before.waiting, ..standing };
    rows.save_schedules(&[ScheduleRow { kind, standing, ..due.row }]).await?;
    Ok(Effects { scheduled: true, ..Effects::default() })
}

fn standing_plan(standing: &Standing, schedule: &Schedule) -> Result<Option<Plan>, StoreError> {
    standing.plan(schedule).map_err(StoreError::InvalidSchedule)
}

/// Counts a run that somebody else drove.
pub(crate) async fn complete<R: Rows + ?Sized>(
    rows: &mut R,
    run: &DrivenRun,
) -> Result<Effects, StoreError> {
    let found = find(rows, &run.task).await?;
    let now = rows.now().await?;
    let schedule = of_task(rows, &found).await?;
    let opening = rows.open(&[found.seq], 0).await?;
    let mut work = Working::new(now);
    work.take_in(opening);
    let state = work.task(found.seq).map(|task| task.state.name());
    if let (Some(why), Some(StateName::Running | StateName::Waiting)) = (&run.failure, state) {
        let failure = Some(Failure::new(FailureKind::Reported, why.clone()));
        apply(&mut work, found.seq, Event::Reported { failure })?;
        work.carry_through(rows).await?;
    }
    let mut changes = Changes::default();
    match schedule {
        Some(due) => {
            let plan = standing_plan(&due.row.standing, &authored(&due)?.schedule)?;
            driven(rows, &mut work, due, plan, run.advance, &mut changes).await?;
        }
        None => count_in_definition(rows, &found, now).await?,
    }
    let mut effects = work.finish_with(rows).await?;
    changes.write(rows).await?;
    effects.scheduled = true;
    Ok(effects)
}

/// A run of the task begins that its schedule did not begin.
pub(crate) async fn count_run<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    due: DueRow,
) -> Result<(), StoreError> {
    let Ok(plan) = standing_plan(&due.row.standing, &authored(&due)?.schedule) else {
        // A schedule that cannot be followed has nothing to count.
        return Ok(());
    };
    let mut changes = Changes::default();
    driven(rows, work, due, plan, false, &mut changes).await?;
    changes.write(rows).await
}

async fn driven<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    due: DueRow,
    plan: Option<Plan>,
    advance: bool,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let (task, now) = (due.row.task, work.now);
    let mut standing = due.row.standing;
    let slot = standing.slot.filter(|slot| advance && *slot <= now);
    let ended = standing.driven(plan.as_ref(), &due.id, advance, now);
    if let Some(slot) = slot
        && rows.taken_slots(&[(task, slot.0)]).await?.is_empty()
    {
        changes.slots.push(SlotRow { task, slot: slot.0, fired_at: Some(now.0) });
    }
    if let Some(ending) = ended {
        let detail = json!({ "why": Ending::as_str(ending) });
        work.note(due.row.tree, task, EventKind::ScheduleEnded, &detail);
    }
    changes.schedules.push(ScheduleRow { standing, ..due.row });
    Ok(())
}

/// A task without a schedule keeps its count beside what its author said.
async fn count_in_definition<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
    now: Timestamp,
) -> Result<(), StoreError> {
    let stored = rows.authored(found.seq).await?;
    let mut definition: Definition =
        serde_json::from_str(&stored.definition).map_err(|error| StoreError::Corrupt {
            table: "af_tasks",
            row: found.id.clone(),
            what: format!("definition: {error}"),
        })?;
    definition.schedule.run_count = definition.schedule.run_count.saturating_add(1);
    definition.schedule.last_run_at = Some(now);
    // A definition is plain data: it always has a JSON form.
    let text = serde_json::to_string(&definition).unwrap_or_default();
    let (executor, owner) = (definition.executor(), definition.user_id.as_deref());
    rows.save_authored(found.seq, &text, executor, stored.needs.as_deref(), owner).await
}

/// Takes up slots of a range that never fired.
pub(crate) async fn backfill<R: Rows + ?Sized>(
    rows: &mut R,
    wish: &Backfill,
) -> Result<(Backfilled, Effects), StoreError> {
    let found = find(rows, &wish.task).await?;
    let now = rows.now().await?;
    let due =
        of_task(rows, &found).await?.ok_or_else(|| StoreError::NoSchedule(wish.task.clone()))?;
    let mut standing = due.row.standing;
    let plan = standing_plan(&standing, &authored(&due)?.schedule)?
        .ok_or_else(|| StoreError::NoSchedule(wish.task.clone()))?;
    // The slot that is next fires by itself, and what lies after now is none of the past.
    let until = [Some(wish.range.end), Some(now), standing.slot].into_iter().flatten().min();
    let until = until.unwrap_or(now);
    let (oldest, known) = rows.oldest_slot(due.row.task).await?;
    let horizon = oldest.filter(|_| known >= i64::from(REMEMBERED)).map(Timestamp);
    let taken: HashSet<i64> =
        rows.slots_between(due.row.task, wish.range.start.0, until.0).await?.into_iter().collect();
    let room = MOST_WAITING - standing.waiting;
    let room = usize::try_from(room.min(i64::from(wish.limit))).unwrap_or(0);
    let left =
        plan.runs_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
    let mut from = wish.range.start;
    let mut answer = Backfilled::default();
    if let Some(horizon) = horizon.filter(|horizon| *horizon > from) {
        let old = plan.slots(from, horizon.min(until), MOST_COUNTED);
        answer.forgotten = u32::try_from(old.len()).unwrap_or(u32::MAX);
        from = horizon;
    }
    let most = room.min(left);
    for slot in plan.slots(from, until, most.saturating_add(taken.len()).saturating_add(1)) {
        if taken.contains(&slot.0) {
            answer.fired_before += 1;
        } else if answer.slots.len() == most {
            answer.cut_short = true;
            break;
        } else {
            answer.slots.push(slot);
        }
    }
    if wish.dry_run || answer.slots.is_empty() {
        return Ok((answer, Effects::default()));
    }
    standing.waiting += i64::try_from(answer.slots.len()).unwrap_or(0);
    let task = due.row.task;
    let waits = |slot: &Timestamp| SlotRow { task, slot: slot.0, fired_at: None };
    let slots = answer.slots.iter().map(waits).collect();
    let schedules = vec![ScheduleRow { standing, ..due.row }];
    Changes { schedules, slots, ..Changes::default() }.write(rows).await?;
    Ok((answer, Effects { scheduled: true, ..Effects::default() }))
}

/// So many slots that nobody remembers are counted.
const MOST_COUNTED: usize = 10_000;

/// The schedule of a task whose definition an update changed.
///
/// `due` is what was stored of it before; returns whether anybody has to look anew.
pub(crate) async fn follow_update<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
    due: Option<DueRow>,
    old: &Schedule,
    definition: &Definition,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (id, new) = (TaskId::new(found.id.clone()), &definition.schedule);
    let before = due.as_ref().map(|due| due.row.standing).unwrap_or_default();
    let standing = before.changed(&id, old, new, now).map_err(StoreError::InvalidSchedule)?;
    let Some(kind) = new.schedule_type.clone() else {
        if due.is_some() {
            rows.delete_schedules(&[found.seq]).await?;
        }
        return Ok(false);
    };
    if standing.waiting < before.waiting {
        rows.drop_waiting(&[found.seq]).await?;
    }
    let row = ScheduleRow {
        task: found.seq,
        tree: found.tree,
        forest: found.forest,
        user_id: definition.user_id.clone(),
        kind,
        standing,
    };
    rows.save_schedules(&[row]).await?;
    Ok(true)
}
