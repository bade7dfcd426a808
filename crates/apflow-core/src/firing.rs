//! What a schedule does when its time comes: which slot runs, which waits, which is left out.
//!
//! Pure: a store reads where a schedule stands, asks [`act`], and writes what it says in the same
//! transaction.

use crate::{
    code::Code,
    id::TaskId,
    problem::{Problem, Problems},
    schedule::{Due, Plan},
    task::{Overlap, Schedule},
    time::Timestamp,
};

/// How many slots of one schedule are remembered as fired. Older ones are never fired again.
pub const REMEMBERED: u32 = 1_000;

/// How many slots of one schedule wait at most for the runs before them.
pub const MOST_WAITING: i64 = 1_000;

/// Where a schedule stands: the part of it that changes with every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Whether it is on. It goes off by itself with its last slot.
    pub enabled: bool,
    /// The next slot.
    pub slot: Option<Timestamp>,
    /// When that slot fires: put off by the jitter; none while the schedule is off.
    pub due_at: Option<Timestamp>,
    /// Runs so far.
    pub runs: i64,
    /// Slots that were left out so far.
    pub skipped: i64,
    /// Slots that wait for the run before to end.
    pub waiting: i64,
    /// When the last run began.
    pub last_run_at: Option<Timestamp>,
}

impl Standing {
    /// A new schedule, or one whose author changed when it runs: its first slot after `now`.
    ///
    /// What was counted so far stays counted; slots that wait are for the caller to forget.
    pub fn anew(
        before: Self,
        task: &TaskId,
        schedule: &Schedule,
        now: Timestamp,
    ) -> Result<Self, Problems> {
        let plan = before.plan(&Schedule { next_run_at: None, ..schedule.clone() })?;
        let mut standing = Self {
            enabled: schedule.schedule_enabled,
            slot: None,
            due_at: None,
            waiting: 0,
            ..before
        };
        if let Some(plan) = plan.filter(|plan| plan.runs_left() != Some(0)) {
            standing.go_to(&plan, task, plan.first(now));
        }
        Ok(standing)
    }

    /// What becomes of it when its author changes the schedule.
    ///
    /// Where only the policies changed the next slot stays; otherwise it is found anew.
    pub fn changed(
        self,
        task: &TaskId,
        old: &Schedule,
        new: &Schedule,
        now: Timestamp,
    ) -> Result<Self, Problems> {
        refuse(new, self.runs)?;
        let when = |schedule: &Schedule| Schedule {
            max_runs: None,
            run_count: 0,
            next_run_at: None,
            last_run_at: None,
            schedule_overlap: None,
            schedule_misfire: None,
            schedule_misfire_window_seconds: None,
            schedule_catch_up: None,
            ..schedule.clone()
        };
        let may_run = self.plan(new)?.is_some_and(|plan| plan.runs_left() != Some(0));
        if may_run && self.slot.is_some() && when(old) == when(new) {
            return Ok(self);
        }
        Self::anew(self, task, new, now)
    }

    /// The plan of a schedule that stands here; slots that wait count as runs.
    pub fn plan(&self, schedule: &Schedule) -> Result<Option<Plan>, Problems> {
        let mut schedule = schedule.clone();
        schedule.run_count = self.runs.saturating_add(self.waiting);
        if self.slot.is_some() {
            schedule.next_run_at = self.slot;
        }
        Plan::read(&schedule)
    }

    /// Shows it in the fields that clients read.
    pub fn show(&self, schedule: &mut Schedule) {
        schedule.schedule_enabled = self.enabled;
        schedule.next_run_at = self.slot;
        schedule.last_run_at = self.last_run_at;
        schedule.run_count = self.runs;
    }

    fn go_to(&mut self, plan: &Plan, task: &TaskId, slot: Option<Timestamp>) {
        self.slot = slot;
        self.due_at = slot.filter(|_| self.enabled).map(|slot| plan.fires_at(task.as_str(), slot));
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due_at.is_some_and(|at| at <= now)
    }

    /// It has had its last slot.
    fn end(&mut self) {
        (self.enabled, self.slot, self.due_at) = (false, None, None);
    }

    /// Slots that may fire now; the caller finds out which of them fired before.
    pub fn due(&self, plan: &Plan, now: Timestamp) -> Due {
        match self.slot.filter(|_| self.is_due(now)) {
            Some(slot) => plan.due(slot, now),
            None => Due { next: self.slot, ..Due::default() },
        }
    }

    /// A run that somebody else drove: it is counted, and the slots up to now are done with.
    pub fn driven(
        &mut self,
        plan: Option<&Plan>,
        task: &TaskId,
        advance: bool,
        now: Timestamp,
    ) -> Option<Ending> {
        let may_count = plan.and_then(Plan::runs_left) != Some(0);
        self.runs += i64::from(may_count);
        self.last_run_at = Some(now);
        let plan = plan?;
        if plan.runs_left().is_some_and(|left| left <= 1) {
            let was_on = self.enabled || self.slot.is_some();
            self.end();
            return was_on.then_some(Ending::MaxRuns);
        }
        if !advance {
            return None;
        }
        let next = match self.slot {
            Some(slot) if slot <= now => plan.due(slot, now).next,
            // The slot that is to come was run ahead of its time.
            Some(slot) => plan.after(slot),
            None => plan.first(now),
        };
        self.go_to(plan, task, next);
        if next.is_none() {
            self.end();
            return Some(Ending::LastSlot);
        }
        None
    }
}

/// Refuses what a schedule may not ask of the scheduler: runs that overlap, since each task has one
/// state and one result, and fewer runs than it had.
pub fn refuse(schedule: &Schedule, runs: i64) -> Result<(), Problems> {
    let mut problems = Vec::new();
    if schedule.schedule_overlap == Some(Overlap::Allow) {
        let reason = "runs of one task cannot overlap: it has one state and one result";
        let problem = Problem::new(Code::OverlapUnavailable, reason)
            .in_field("schedule_overlap")
            .expecting("`skip`, `queue` or `cancel_running`")
            .found("allow");
        problems.push(problem.hinting("use `queue` to lose no slot while a run goes on"));
    }
    if let Some(most) = schedule.max_runs.filter(|most| *most < runs) {
        let reason = format!("it ran {runs} times already");
        let problem = Problem::new(Code::InvalidSchedule, reason)
            .in_field("max_runs")
            .expecting(format!("a whole number from {runs} on"))
            .found(most.to_string());
        problems.push(problem);
    }
    Problems::refuse(problems)
}

/// Everything that decides what a schedule does.
pub struct Look<'a> {
    /// The task with the schedule.
    pub task: &'a TaskId,
    /// Its plan, as [`Standing::plan`] gives it.
    pub plan: &'a Plan,
    /// Where it stands.
    pub standing: Standing,
    /// The oldest slot that waits.
    pub oldest: Option<Timestamp>,
    /// A run of its submission is going on.
    pub busy: bool,
    /// What [`Standing::due`] said, without the slots that fired before.
    pub due: Due,
    /// The moment.
    pub now: Timestamp,
}

/// What a schedule does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Act {
    /// First stop the run that is going on.
    pub cancel: bool,
    /// Begin a run for this slot.
    pub start: Option<Timestamp>,
    /// These slots wait from now on.
    pub line_up: Vec<Timestamp>,
    /// Whatever waits is forgotten.
    pub forget_line: bool,
    /// So many slots are left out because they come too late.
    pub late: u64,
    /// So many are left out because the run before goes on.
    pub overlapped: u64,
    /// It has had its last slot.
    pub ended: Option<Ending>,
    /// Where it stands then.
    pub standing: Standing,
}

/// Why a schedule goes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ran as often as it may.
    MaxRuns,
    /// There is no slot any more.
    LastSlot,
}

impl Ending {
    /// The word in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxRuns => "max_runs",
            Self::LastSlot => "last_slot",
        }
    }
}

/// Decides what a schedule does.
///
/// Slots of one schedule run one after another, oldest first: a slot that waits goes before one that
/// is due, except where the schedule cancels what runs. Where several are due at once, the author
/// asked for all of them, so they wait for one another whatever the overlap policy says.
pub fn act(look: &Look<'_>) -> Act {
    let Look { task, plan, standing, oldest, busy, due, now } = look;
    let mut act = Act { standing: *standing, ..Act::default() };
    if oldest.is_none() {
        // Whatever was counted as waiting is not there; nothing may be looked for for ever.
        act.standing.waiting = 0;
    }
    let mut free = !busy;
    let cancels = plan.overlap() == Overlap::CancelRunning && !due.fire.is_empty();
    if let (true, false, Some(oldest)) = (free, cancels, *oldest) {
        act.start = Some(oldest);
        act.standing.waiting -= 1;
        free = false;
    }
    if standing.is_due(*now) {
        act.late = due.skipped;
        act.take(plan.overlap(), &due.fire, free);
        act.standing.go_to(plan, task, due.next);
    }
    if act.start.is_some() {
        act.standing.runs = act.standing.runs.saturating_add(1);
        act.standing.last_run_at = Some(*now);
    }
    act.standing.skipped =
        act.standing.skipped.saturating_add_unsigned(act.late.saturating_add(act.overlapped));
    let taken = standing.runs.saturating_add(standing.waiting);
    let most = plan.runs_left().map(|left| taken.saturating_add_unsigned(left));
    let used = act.standing.runs.saturating_add(act.standing.waiting);
    if standing.slot.is_some() {
        if most.is_some_and(|most| used >= most) {
            act.ended = Some(Ending::MaxRuns);
        } else if act.standing.slot.is_none() {
            act.ended = Some(Ending::LastSlot);
        }
    }
    if act.ended.is_some() {
        act.standing.end();
    }
    act
}

impl Act {
    /// Finds a place for slots that are due.
    fn take(&mut self, overlap: Overlap, due: &[Timestamp], free: bool) {
        match (due, overlap) {
            ([], _) => {}
            ([first, rest @ ..], _) if free => {
                self.start = Some(*first);
                self.wait_in_line(rest);
            }
            ([rest @ .., last], Overlap::CancelRunning) => {
                (self.cancel, self.forget_line) = (true, self.standing.waiting > 0);
                let waited = u64::try_from(self.standing.waiting).unwrap_or(0);
                self.overlapped += waited + rest.len() as u64;
                self.standing.waiting = 0;
                self.start = Some(*last);
            }
            ([_, _, ..], _) => self.wait_in_line(due),
            ([_], Overlap::Queue) if self.standing.waiting == 0 => self.wait_in_line(due),
            ([_], _) => self.overlapped += 1,
        }
    }

    fn wait_in_line(&mut self, slots: &[Timestamp]) {
        let room = usize::try_from(MOST_WAITING - self.standing.waiting).unwrap_or(0);
        let fit = slots.len().min(room);
        self.line_up.extend_from_slice(&slots[..fit]);
        self.standing.waiting += i64::try_from(fit).unwrap_or(0);
        self.overlapped += (slots.len() - fit) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Misfire;

    const START: Timestamp = Timestamp(1_800_000_000_000_000);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(START.0 + seconds * 1_000_000)
    }

    /// Every ten seconds.
    fn every_ten() -> Schedule {
        Schedule {
            schedule_type: Some("interval".to_owned()),
            schedule_expression: Some("10".to_owned()),
            schedule_enabled: true,
            schedule_start_at: Some(START),
            ..Schedule::default()
        }
    }

    fn anew(schedule: &Schedule) -> Standing {
        Standing::anew(Standing::default(), &"t".into(), schedule, START).expect("a sound schedule")
    }

    /// What it does at a moment; `oldest` is the oldest slot that waits.
    fn look(
        schedule: &Schedule,
        standing: Standing,
        busy: bool,
        oldest: Option<i64>,
        now: i64,
    ) -> Act {
        let plan = standing.plan(schedule).expect("sound").expect("a schedule");
        let due = standing.due(&plan, at(now));
        let (task, oldest, now) = (TaskId::from("t"), oldest.map(at), at(now));
        act(&Look { task: &task, plan: &plan, standing, oldest, busy, due, now })
    }

    #[test]
    fn a_slot_that_is_due_begins_a_run_and_the_next_one_follows_it() {
        let schedule = every_ten();
        let standing = anew(&schedule);
        assert_eq!((standing.slot, standing.due_at), (Some(at(10)), Some(at(10))));
        let early = look(&schedule, standing, false, None, 9);
        assert_eq!((early.start, early.standing), (None, standing));
        let done = look(&schedule, standing, false, None, 13);
        assert_eq!(done.start, Some(at(10)));
        assert_eq!(done.standing.slot, Some(at(20)), "it does not drift with the run");
        assert_eq!((done.standing.runs, done.standing.last_run_at), (1, Some(at(13))));
    }

    #[test]
    fn while_a_run_goes_on_each_policy_does_its_own() {
        let with = |overlap| {
            let schedule = Schedule { schedule_overlap: Some(overlap), ..every_ten() };
            (look(&schedule, anew(&schedule), true, None, 10), schedule)
        };
        for policy in [Overlap::Skip, Overlap::Allow] {
            let (act, _) = with(policy);
            assert_eq!((act.start, act.overlapped, act.standing.skipped), (None, 1, 1));
            assert_eq!((act.standing.slot, act.standing.runs), (Some(at(20)), 0));
        }
        let (act, schedule) = with(Overlap::Queue);
        assert_eq!((act.start, &act.line_up[..], act.standing.waiting), (None, &[at(10)][..], 1));
        let full = look(&schedule, act.standing, true, Some(10), 20);
        assert_eq!((full.line_up.len(), full.overlapped), (0, 1), "one slot is kept");
        let over = look(&schedule, full.standing, false, Some(10), 25);
        assert_eq!((over.start, over.standing.waiting, over.standing.runs), (Some(at(10)), 0, 1));
        let (act, _) = with(Overlap::CancelRunning);
        assert!(act.cancel);
        assert_eq!((act.start, act.standing.runs, act.overlapped), (Some(at(10)), 1, 0));
    }

    #[test]
    fn a_slot_that_waits_goes_before_one_that_is_due() {
        let schedule = Schedule { schedule_overlap: Some(Overlap::Queue), ..every_ten() };
        let standing = Standing { waiting: 1, ..anew(&schedule) };
        let act = look(&schedule, standing, false, Some(5), 10);
        assert_eq!((act.start, act.line_up), (Some(at(5)), vec![at(10)]));
        assert_eq!((act.standing.waiting, act.standing.runs), (1, 1));
    }

    #[test]
    fn missed_slots_are_caught_up_with_one_after_another() {
        let schedule = Schedule {
            schedule_misfire: Some(Misfire::CatchUp),
            schedule_catch_up: Some(3),
            ..every_ten()
        };
        let act = look(&schedule, anew(&schedule), false, None, 55);
        assert_eq!((act.start, act.line_up), (Some(at(30)), vec![at(40), at(50)]));
        assert_eq!((act.late, act.standing.slot), (2, Some(at(60))));
        let once = every_ten();
        let act = look(&once, anew(&once), false, None, 55);
        assert_eq!((act.start, act.line_up.len(), act.late), (Some(at(50)), 0, 4));
    }

    #[test]
    fn the_last_run_switches_it_off_and_slots_that_wait_count_as_runs() {
        let schedule =
            Schedule { max_runs: Some(2), schedule_overlap: Some(Overlap::Queue), ..every_ten() };
        let first = look(&schedule, anew(&schedule), false, None, 10);
        assert_eq!(first.ended, None);
        let second = look(&schedule, first.standing, true, None, 20);
        assert_eq!(second.ended, Some(Ending::MaxRuns));
        let Standing { enabled, slot, due_at, runs, waiting, .. } = second.standing;
        assert_eq!((enabled, slot, due_at, runs, waiting), (false, None, None, 1, 1));
        let last = look(&schedule, second.standing, false, Some(20), 24);
        assert_eq!((last.start, last.ended, last.standing.runs), (Some(at(20)), None, 2));
    }

    #[test]
    fn the_last_slot_switches_it_off() {
        let ends = Schedule { schedule_end_at: Some(at(15)), ..every_ten() };
        let act = look(&ends, anew(&ends), false, None, 11);
        assert_eq!((act.start, act.ended), (Some(at(10)), Some(Ending::LastSlot)));
        let once = Schedule {
            schedule_type: Some("once".to_owned()),
            schedule_expression: Some(at(30).to_string()),
            schedule_start_at: None,
            ..every_ten()
        };
        let act = look(&once, anew(&once), true, None, 31);
        assert_eq!((act.overlapped, act.ended), (1, Some(Ending::LastSlot)));
        assert!(!act.standing.enabled);
    }

    #[test]
    fn a_schedule_that_is_off_shows_its_slot_and_never_fires() {
        let off = Schedule { schedule_enabled: false, ..every_ten() };
        let standing = anew(&off);
        assert_eq!((standing.slot, standing.due_at), (Some(at(10)), None));
        assert_eq!(look(&off, standing, false, None, 100).start, None);
    }

    #[test]
    fn no_more_slots_wait_than_fit_in_line() {
        let schedule = Schedule {
            schedule_misfire: Some(Misfire::CatchUp),
            schedule_catch_up: Some(5),
            ..every_ten()
        };
        let standing = Standing { waiting: MOST_WAITING - 2, ..anew(&schedule) };
        let act = look(&schedule, standing, true, Some(0), 55);
        assert_eq!((act.line_up.len(), act.overlapped), (2, 3));
    }

    #[test]
    fn a_change_of_policy_keeps_the_slot_and_a_change_of_time_finds_it_anew() {
        let schedule = every_ten();
        let standing = Standing { runs: 4, waiting: 2, ..anew(&schedule) };
        let policy = Schedule { schedule_overlap: Some(Overlap::Queue), ..every_ten() };
        let now = at(3);
        let changed = |new: &Schedule| {
            standing.changed(&"t".into(), &schedule, new, now).expect("a sound schedule")
        };
        assert_eq!(changed(&policy), standing);
        let time = Schedule { schedule_expression: Some("60".to_owned()), ..every_ten() };
        let Standing { slot, runs, waiting, .. } = changed(&time);
        assert_eq!((slot, runs, waiting), (Some(at(60)), 4, 0));
        let over = Schedule { max_runs: Some(4), ..every_ten() };
        assert_eq!(changed(&over).slot, None, "it ran as often already");
        for (wrong, code) in [
            (Schedule { max_runs: Some(3), ..every_ten() }, Code::InvalidSchedule),
            (
                Schedule { schedule_overlap: Some(Overlap::Allow), ..every_ten() },
                Code::OverlapUnavailable,
            ),
        ] {
            let refused = standing.changed(&"t".into(), &schedule, &wrong, now);
            assert_eq!(refused.expect_err("refused").0[0].code, code);
        }
        let wrong = Schedule { schedule_expression: Some("often".to_owned()), ..every_ten() };
        assert!(standing.changed(&"t".into(), &schedule, &wrong, now).is_err());
    }

    #[test]
    fn a_run_that_somebody_else_drove_uses_up_its_slot() {
        let schedule = Schedule { max_runs: Some(2), ..every_ten() };
        let mut standing = anew(&schedule);
        let plan = standing.plan(&schedule).expect("sound");
        assert_eq!(standing.driven(plan.as_ref(), &"t".into(), true, at(12)), None);
        assert_eq!((standing.runs, standing.slot), (1, Some(at(20))));
        let plan = standing.plan(&schedule).expect("sound");
        let ended = standing.driven(plan.as_ref(), &"t".into(), true, at(13));
        assert_eq!((ended, standing.enabled), (Some(Ending::MaxRuns), false));
        let plan = standing.plan(&schedule).expect("sound");
        standing.driven(plan.as_ref(), &"t".into(), true, at(14));
        assert_eq!(standing.runs, 2, "never more than max_runs");
    }
}
