//! What must be true after whatever happened, read from the database and from the workers' own logs.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use apflow::{
    core::{
        store::{EventKind, Page, TaskEvent, TaskFilter},
        task::{FailureKind, State},
    },
    prelude::*,
    storage::OpenOptions,
};

use super::{
    Result, doing,
    log::{Effect, RunDir, What, fingerprint},
    plan::{Plan, PlannedTask, PlannedTree},
};

/// What was done to a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Workers killed.
    pub kills: u64,
    /// Workers stopped for longer than a lease.
    pub stops: u64,
    /// Database servers killed; each may cost every worker what it holds.
    pub crashes: u64,
    /// Attempts one worker has at the same time.
    pub slots: u64,
    /// Workers at the same time.
    pub workers: u64,
    /// Leases end while the work goes on, so repetitions have no bound.
    pub zombies: bool,
}

/// Everything a run left behind.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Which trees there were to be.
    pub plan: Plan,
    /// How many of them the store had acknowledged.
    pub acknowledged: u64,
    /// What the tasks did, in order.
    pub effects: Vec<Effect>,
    /// Every task in the database.
    pub records: Vec<Record>,
    /// The journal.
    pub events: Vec<TaskEvent>,
    /// Rows that could not be read.
    pub set_aside: Vec<(String, String, String)>,
    /// What was done.
    pub faults: Faults,
}

impl Evidence {
    /// Opens the database anew, only to read, and takes in everything.
    pub async fn read(db: &str, dir: &RunDir, plan: Plan, faults: Faults) -> Result<Self> {
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        let store = apflow::storage::open(db, options)
            .await
            .map_err(doing("opening the database to check it"))?;
        let mut records = Vec::new();
        loop {
            let offset = u32::try_from(records.len()).map_err(doing("too many tasks"))?;
            let page = Page { limit: Page::MAX, offset };
            let more =
                store.list(&TaskFilter::default(), page).await.map_err(doing("reading tasks"))?;
            if more.is_empty() {
                break;
            }
            records.extend(more);
        }
        let mut events: Vec<TaskEvent> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let more =
                store.events(None, after, 1000).await.map_err(doing("reading the journal"))?;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        Ok(Self {
            plan,
            acknowledged: dir.acknowledged(),
            effects: dir.effects()?,
            records,
            events,
            set_aside: store.set_aside().await.map_err(doing("reading what was set aside"))?,
            faults,
        })
    }
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as the guide numbers them.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Trees that were acknowledged.
    pub trees: u64,
    /// Their tasks.
    pub tasks: u64,
    /// Tasks that completed.
    pub completed: u64,
    /// Tasks that may be tried once and were lost with their worker.
    pub given_up: u64,
    /// Attempts that began.
    pub executions: u64,
    /// Attempts beyond the first of a task.
    pub reexecutions: u64,
    /// Outcomes that came too late and were refused.
    pub refused: u64,
    /// Tasks and trees that time acted on.
    pub lapsed: u64,
    /// Times a worker reported that its store could not do something.
    pub troubles: u64,
    /// Processes that came to work.
    pub processes: u64,
    /// Promises broken.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// Violations of one rule.
    pub fn of(&self, rule: &str) -> usize {
        self.violations.iter().filter(|violation| violation.rule == rule).count()
    }

    /// Why the run proves little, if it does: too much failed, or nothing was ever repeated.
    pub fn too_quiet(&self) -> Option<String> {
        if self.completed * 10 < self.tasks * 9 {
            return Some(format!("only {} of {} tasks completed", self.completed, self.tasks));
        }
        (self.reexecutions == 0).then(|| "no task was ever run again".to_owned())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} trees acknowledged, {} tasks: {} completed, {} given up after their one attempt",
            self.trees, self.tasks, self.completed, self.given_up
        )?;
        writeln!(
            f,
            "  {} executions ({} repeated), {} late outcomes refused, {} leases lapsed, {} troubles, {} processes",
            self.executions,
            self.reexecutions,
            self.refused,
            self.lapsed,
            self.troubles,
            self.processes
        )?;
        writeln!(
            f,
            "  {} lost, {} duplicate or changed ends, {} stale accepted, {} out of order, {} violations in all",
            self.of("I1"),
            self.of("I2") + self.of("I3"),
            self.of("I4") + self.of("I5"),
            self.of("I6"),
            self.violations.len()
        )?;
        for violation in self.violations.iter().take(20) {
            writeln!(f, "  {violation}")?;
        }
        Ok(())
    }
}

/// One attempt as the log tells it; positions are line numbers.
#[derive(Debug, Clone)]
struct Attempt<'a> {
    number: u32,
    began: usize,
    saw: &'a serde_json::Map<String, serde_json::Value>,
    ended: Option<(usize, &'a str)>,
}

/// Attempts of one task by token.
type Attempts<'a> = BTreeMap<i64, Attempt<'a>>;

/// Looks at everything.
pub fn check(evidence: &Evidence) -> Findings {
    let mut checker = Checker {
        evidence,
        records: evidence.records.iter().map(|record| (record.id.as_str(), record)).collect(),
        attempts: HashMap::new(),
        events: HashMap::new(),
        found: Findings::default(),
    };
    checker.gather();
    checker.look();
    checker.found
}

struct Checker<'a> {
    evidence: &'a Evidence,
    records: HashMap<&'a str, &'a Record>,
    attempts: HashMap<&'a str, Attempts<'a>>,
    events: HashMap<&'a str, Vec<&'a TaskEvent>>,
    found: Findings,
}

impl Checker<'_> {
    fn broken(&mut self, rule: &'static str, what: impl Into<String>) {
        self.found.violations.push(Violation { rule, what: what.into() });
    }

    /// Sorts the log and the journal by task.
    fn gather(&mut self) {
        for (at, effect) in self.evidence.effects.iter().enumerate() {
            match &effect.what {
                What::Start { task, token, attempt, saw } => {
                    self.found.executions += 1;
                    let new = Attempt { number: *attempt, began: at, saw, ended: None };
                    if self.attempts.entry(task).or_default().insert(*token, new).is_some() {
                        self.broken("I4", format!("{task} began twice under token {token}"));
                    }
                }
                What::End { task, token, result } => {
                    let attempt = self.attempts.entry(task).or_default().get_mut(token);
                    match attempt {
                        Some(attempt) => attempt.ended = Some((at, result)),
                        None => self.broken("log", format!("{task} ended and never began")),
                    }
                }
                What::Refused { .. } => self.found.refused += 1,
                What::Lapsed { changed } => self.found.lapsed += u64::from(*changed),
                What::Trouble { .. } => self.found.troubles += 1,
                What::Ready => self.found.processes += 1,
            }
        }
        for event in &self.evidence.events {
            if let Some(task) = &event.task {
                self.events.entry(task.as_str()).or_default().push(event);
            }
        }
    }

    fn look(&mut self) {
        let acknowledged = self.evidence.acknowledged;
        self.found.trees = acknowledged;
        let mut known = HashSet::new();
        for index in 0..=acknowledged {
            let tree = self.evidence.plan.tree(index);
            let stored = tree
                .tasks
                .iter()
                .filter(|task| self.records.contains_key(task.id.as_str()))
                .count();
            // The last one may have been stored although nobody lived to hear it.
            if index == acknowledged && stored == 0 {
                continue;
            }
            if stored < tree.tasks.len() {
                let all = tree.tasks.len();
                self.broken(
                    "I1",
                    format!("of tree {} only {stored} of {all} tasks are there", tree.id),
                );
            }
            for at in 0..tree.tasks.len() {
                self.task(&tree, at);
            }
            known.extend(tree.tasks.into_iter().map(|task| task.id));
        }
        for record in &self.evidence.records {
            if !known.contains(record.id.as_str()) {
                self.broken("I10", format!("nobody submitted {}", record.id));
            }
        }
        for (table, row, what) in &self.evidence.set_aside {
            self.broken("I1", format!("row {row} of {table} was set aside: {what}"));
        }
        self.found.tasks = known.len() as u64;
        self.bound_of_repetitions();
    }

    fn bound_of_repetitions(&mut self) {
        let begun = self.attempts.len() as u64;
        self.found.reexecutions = self.found.executions.saturating_sub(begun);
        let Faults { kills, stops, crashes, slots, workers, zombies } = self.evidence.faults;
        let bound = (kills + stops + crashes * workers) * slots;
        if !zombies && self.found.reexecutions > bound {
            let again = self.found.reexecutions;
            self.broken(
                "I13",
                format!("{again} attempts were repeated; the faults explain {bound}"),
            );
        }
    }

    fn task(&mut self, tree: &PlannedTree, at: usize) {
        let planned = &tree.tasks[at];
        let Some(record) = self.records.get(planned.id.as_str()).copied() else { return };
        let attempts = self.attempts.get(planned.id.as_str()).cloned().unwrap_or_default();
        self.end(planned, record, &attempts);
        self.journal(planned, record);
        self.tokens(planned, record, &attempts);
        for (token, attempt) in &attempts {
            for need in &planned.needs {
                self.came_after(&planned.id, *token, attempt, &tree.tasks[*need].id, true);
            }
            for child in &planned.after {
                self.came_after(&planned.id, *token, attempt, &tree.tasks[*child].id, false);
            }
        }
    }

    /// It ended, as it may, with the result of the attempt that held it.
    fn end(&mut self, planned: &PlannedTask, record: &Record, attempts: &Attempts<'_>) {
        let id = &planned.id;
        match &record.task.state {
            State::Completed => {
                self.found.completed += 1;
                let token = record.task.token.0;
                let result = record.result.clone().unwrap_or_default();
                let by = result.as_str().and_then(|text| text.split('.').next()?.parse().ok());
                if by != Some(token) {
                    self.broken("I5", format!("{id} was held under token {token}, and the result came from token {by:?}"));
                }
                match attempts.get(&token).and_then(|attempt| attempt.ended) {
                    Some((_, logged)) if logged == fingerprint(&result) => {}
                    Some(_) => self.broken("I17", format!("{id} returned something else than what is stored")),
                    None => self.broken("I5", format!("{id} completed under token {token}, and no such attempt came to its end")),
                }
            }
            State::Failed { failure }
                if failure.kind == FailureKind::LostLease && planned.max_attempts == 1 =>
            {
                self.found.given_up += 1;
            }
            State::Failed { failure } => {
                self.broken(
                    "I14",
                    format!("{id} failed: {} ({:?})", failure.message, failure.kind),
                );
            }
            State::Running { lease, worker, .. } => {
                self.broken("I19", format!("{id} is still held by {worker} under token {lease}"));
            }
            other => self.broken("I14", format!("{id} is {} and did not end", other.name())),
        }
    }

    /// It began as often as it was charged for, and ended once and for all.
    fn journal(&mut self, planned: &PlannedTask, record: &Record) {
        use EventKind as E;
        let id = &planned.id;
        let events = self.events.get(id.as_str()).cloned().unwrap_or_default();
        let is_end = |kind| matches!(kind, E::Completed | E::Failed | E::Cancelled | E::Skipped);
        let ends: Vec<EventKind> =
            events.iter().map(|event| event.kind).filter(|kind| is_end(*kind)).collect();
        if record.task.state.is_terminal() {
            if ends.len() != 1 {
                self.broken("I2", format!("{id} ended {} times: {ends:?}", ends.len()));
            }
            let told = match record.task.state.status() {
                Status::Completed => E::Completed,
                Status::Failed => E::Failed,
                _ => E::Cancelled,
            };
            if ends.last().is_some_and(|kind| *kind != told) {
                self.broken(
                    "I3",
                    format!("{id} is {}, and the journal says {ends:?}", record.task.state.name()),
                );
            }
        }
        let after = events.iter().skip_while(|event| !is_end(event.kind)).skip(1);
        for event in after {
            self.broken("I3", format!("{id}: {} after its end", event.kind.as_str()));
        }
        let begun: Vec<u32> = events
            .iter()
            .filter(|event| event.kind == E::Started)
            .map(|event| event.attempt)
            .collect();
        let counted: Vec<u32> = (1..=record.task.attempts).collect();
        if begun != counted {
            self.broken(
                "I4",
                format!("{id} was charged {} attempts; the journal has {begun:?}", counted.len()),
            );
        }
    }

    /// Later attempts have higher tokens, none came after the end, and there are not too many.
    fn tokens(&mut self, planned: &PlannedTask, record: &Record, attempts: &Attempts<'_>) {
        let id = &planned.id;
        if record.task.attempts > planned.max_attempts
            || attempts.len() > planned.max_attempts as usize
        {
            let most = planned.max_attempts;
            self.broken(
                "I8",
                format!("{id} was tried {} times, where {most} are allowed", record.task.attempts),
            );
        }
        let mut before = 0;
        for (token, attempt) in attempts {
            if attempt.number <= before {
                self.broken(
                    "I4",
                    format!(
                        "{id}: attempt {} has the newer token {token} than attempt {before}",
                        attempt.number
                    ),
                );
            }
            before = attempt.number;
            if *token > record.task.token.0 {
                self.broken(
                    "I4",
                    format!(
                        "{id} began under token {token} after it had ended under {}",
                        record.task.token
                    ),
                );
            }
        }
    }

    /// What had to come first came first, and what it returned is what was seen.
    fn came_after(&mut self, id: &str, token: i64, attempt: &Attempt<'_>, on: &str, needed: bool) {
        let Some(first) = self.records.get(on).copied() else { return };
        if !matches!(first.task.state, State::Completed) {
            if needed {
                self.broken(
                    "I6",
                    format!("{id} began, and {on}, which it needs, is {}", first.task.state.name()),
                );
            }
            return;
        }
        let accepted =
            self.attempts.get(on).and_then(|attempts| attempts.get(&first.task.token.0)?.ended);
        if accepted.is_none_or(|(ended, _)| ended > attempt.began) {
            self.broken(
                "I6",
                format!(
                    "{id} began under token {token} before {on} had ended under {}",
                    first.task.token
                ),
            );
        }
        let told = fingerprint(first.result.as_ref().unwrap_or_default());
        if needed && attempt.saw.get(on).and_then(|seen| seen.as_str()) != Some(told.as_str()) {
            self.broken(
                "I17",
                format!("{id} was given another result of {on} than what is stored"),
            );
        }
    }
}
