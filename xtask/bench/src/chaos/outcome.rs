//! What a run left behind, without the attempts that were lost, and how two runs differ.

use std::collections::BTreeMap;

use apflow::{
    core::{
        store::{
            AttemptOutcome, BudgetFilter, EventKind, LetterFilter, Page, Store, TaskEvent,
            TaskFilter, UsageBy, UsageFilter, WaitFilter, WaitState,
        },
        task::WaitFor,
    },
    storage::OpenOptions,
};
use serde_json::Value;

use super::{Result, check::Violation, doing};

/// What a run left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    tasks: BTreeMap<String, TaskEnd>,
    trees: Vec<EventKind>,
    waits: Vec<(String, WaitFor, String, WaitState, Value, bool)>,
    budgets: Vec<(String, i64, i64)>,
    spent: Vec<(Option<String>, i64, i64, i64, i64, i64)>,
    letters: u64,
    set_aside: usize,
    /// Attempts whose worker vanished.
    pub lost: u32,
}

/// How one task ended, and how it came to that.
#[derive(Debug, Clone, PartialEq)]
struct TaskEnd {
    state: &'static str,
    result: Option<Value>,
    error: Option<String>,
    attempts: u32,
    lost: u32,
    journal: Vec<EventKind>,
    history: Vec<AttemptOutcome>,
    twins: u32,
}

impl Outcome {
    /// Reads it from the database of a run that has ended.
    pub async fn read(db: &str) -> Result<Self> {
        // Budgets are listed by whoever may write.
        let store = apflow::storage::open(db, OpenOptions::default())
            .await
            .map_err(doing("opening the database to check it"))?;
        Self::of(store.as_ref()).await
    }

    async fn of(store: &dyn Store) -> Result<Self> {
        let page = Page { limit: Page::MAX, offset: 0 };
        let records =
            store.list(&TaskFilter::default(), page).await.map_err(doing("reading tasks"))?;
        let events = events(store).await?;
        let mut tasks: BTreeMap<String, TaskEnd> = BTreeMap::new();
        for record in records {
            let own = events.iter().filter(|event| event.task.as_ref() == Some(&record.id));
            let (journal, lost) = without_lost(own.map(|event| event.kind));
            let history = store.attempts(&record.id).await.map_err(doing("reading attempts"))?;
            let history = history.unwrap_or_default().into_iter().map(|each| each.outcome);
            let end = TaskEnd {
                state: record.task.state.name().as_str(),
                result: record.result,
                error: record.error,
                attempts: record.task.attempts,
                lost,
                journal,
                history: history.filter(|outcome| *outcome != AttemptOutcome::Lost).collect(),
                twins: 0,
            };
            let name = record.definition.name;
            match tasks.get_mut(&name) {
                Some(twin) => twin.twins += 1,
                None => drop(tasks.insert(name, end)),
            }
        }
        let trees = events.iter().filter(|event| event.task.is_none());
        let filter = UsageFilter { by: UsageBy::Executor, limit: 1000, ..UsageFilter::default() };
        let spent = store.usage(&filter).await.map_err(doing("reading what was spent"))?;
        let budgets = store.budgets(&BudgetFilter::default(), page).await;
        let budgets = budgets.map_err(doing("reading budgets"))?;
        let letters = store.count_letters(&LetterFilter::default()).await;
        let set_aside = store.set_aside().await.map_err(doing("reading what was set aside"))?;
        let lost = tasks.values().map(|task| task.lost).sum();
        Ok(Self {
            tasks,
            trees: trees.map(|event| event.kind).collect(),
            waits: waits(store, page).await?,
            budgets: budgets
                .into_iter()
                .map(|budget| (budget.key.holder(), budget.used, budget.reserved))
                .collect(),
            spent: spent
                .into_iter()
                .map(|line| {
                    let (calls, tasks) = (line.calls, line.tasks);
                    let tokens = (line.input_tokens, line.output_tokens);
                    (line.what, tokens.0, tokens.1, line.cost.0, calls, tasks)
                })
                .collect(),
            letters: letters.map_err(doing("counting dead letters"))?,
            set_aside: set_aside.len(),
            lost,
        })
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// What is wrong with it whatever the others look like.
    pub fn wrong(&self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        let mut say = |rule, what: String| wrong.push(Violation { rule, what });
        for (name, task) in &self.tasks {
            if task.twins > 0 {
                say("twins", format!("there are {} more tasks `{name}`", task.twins));
            }
            if !matches!(task.state, "completed" | "failed" | "skipped" | "cancelled") {
                say("open", format!("`{name}` is {}", task.state));
            }
        }
        for (task, what, key, state, _, early) in &self.waits {
            if *state == WaitState::Pending {
                say("wait", format!("{} {key} of `{task}` is still open", what.as_str()));
            }
            if *early {
                say("wait", format!("{} {key} of `{task}` ended too early", what.as_str()));
            }
        }
        for (holder, _, reserved) in &self.budgets {
            if *reserved != 0 {
                say("reserved", format!("{reserved} of {holder} are still put aside"));
            }
        }
        wrong
    }

    /// Where it differs from an undisturbed run in anything but attempts that were lost.
    pub fn differs_from(&self, undisturbed: &Self) -> Vec<Violation> {
        let mut wrong = self.wrong();
        let mut same = |rule, what: &str, here: String, there: String| {
            if here != there {
                let what = format!("{what}: {here}, and undisturbed {there}");
                wrong.push(Violation { rule, what });
            }
        };
        let names = |outcome: &Self| format!("{:?}", outcome.tasks.keys().collect::<Vec<_>>());
        same("tasks", "the tasks", names(self), names(undisturbed));
        for (name, task) in &self.tasks {
            let Some(other) = undisturbed.tasks.get(name) else { continue };
            let end = |task: &TaskEnd| format!("{} {:?} {:?}", task.state, task.result, task.error);
            same("end", name, end(task), end(other));
            let journal = |task: &TaskEnd| format!("{:?}", task.journal);
            same("journal", name, journal(task), journal(other));
            let history = |task: &TaskEnd| format!("{:?}", task.history);
            same("history", name, history(task), history(other));
            if task.attempts < other.attempts || task.attempts > other.attempts + task.lost {
                let (here, there) = (task.attempts.to_string(), other.attempts.to_string());
                same("attempts", &format!("{name}, {} lost", task.lost), here, there);
            }
        }
        same("run", "runs", format!("{:?}", self.trees), format!("{:?}", undisturbed.trees));
        same("wait", "waits", format!("{:?}", self.waits), format!("{:?}", undisturbed.waits));
        let (here, there) = (&self.budgets, &undisturbed.budgets);
        same("spent", "budgets", format!("{here:?}"), format!("{there:?}"));
        let (here, there) = (&self.spent, &undisturbed.spent);
        same("spent", "reports", format!("{here:?}"), format!("{there:?}"));
        same("letters", "letters", self.letters.to_string(), undisturbed.letters.to_string());
        same("corrupt", "rows", self.set_aside.to_string(), undisturbed.set_aside.to_string());
        wrong
    }
}

async fn events(store: &dyn Store) -> Result<Vec<TaskEvent>> {
    let mut events: Vec<TaskEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let more = store.events(None, after, 1000).await.map_err(doing("reading the journal"))?;
        if more.is_empty() {
            return Ok(events);
        }
        events.extend(more);
    }
}

async fn waits(
    store: &dyn Store,
    page: Page,
) -> Result<Vec<(String, WaitFor, String, WaitState, Value, bool)>> {
    let waits = store.waits(&WaitFilter::default(), page).await.map_err(doing("reading waits"))?;
    let waits = waits.into_iter().map(|wait| {
        let early = wait.what == WaitFor::Timer
            && wait.until.is_none_or(|until| wait.answered_at.is_none_or(|at| at < until));
        (wait.name, wait.what, wait.key, wait.state, wait.answer, early)
    });
    let mut waits: Vec<_> = waits.collect();
    waits.sort_by(|one, other| (&one.0, &one.2).cmp(&(&other.0, &other.2)));
    Ok(waits)
}

/// The events of one task without the attempts that were lost, and how many those were.
fn without_lost(events: impl Iterator<Item = EventKind>) -> (Vec<EventKind>, u32) {
    let (mut kept, mut lost) = (Vec::new(), 0);
    for kind in events {
        if kind != EventKind::Requeued {
            kept.push(kind);
        } else if let Some(at) = kept.iter().rposition(|kind| *kind == EventKind::Started) {
            kept.remove(at);
            lost += 1;
        }
    }
    (kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_attempt_leaves_no_trace_in_what_is_compared() {
        use EventKind as E;
        let events = [E::Started, E::Requeued, E::Started, E::Retrying, E::Started, E::Completed];
        let (kept, lost) = without_lost(events.into_iter());
        assert_eq!(kept, [E::Started, E::Retrying, E::Started, E::Completed]);
        assert_eq!(lost, 1);
    }

    fn outcome() -> Outcome {
        let end = TaskEnd {
            state: "completed",
            result: Some(Value::from(1)),
            error: None,
            attempts: 2,
            lost: 0,
            journal: vec![EventKind::Started, EventKind::Completed],
            history: vec![AttemptOutcome::Completed],
            twins: 0,
        };
        Outcome {
            tasks: [("a".to_owned(), end)].into(),
            trees: vec![EventKind::RunStarted, EventKind::RunFinished],
            waits: Vec::new(),
            budgets: vec![("all".to_owned(), 7, 0)],
            spent: Vec::new(),
            letters: 0,
            set_aside: 0,
            lost: 0,
        }
    }

    /// The rules that a change breaks.
    fn broken(change: impl FnOnce(&mut Outcome)) -> Vec<&'static str> {
        let mut changed = outcome();
        change(&mut changed);
        changed.differs_from(&outcome()).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn every_difference_is_found_and_none_where_there_is_none() {
        fn first(outcome: &mut Outcome) -> &mut TaskEnd {
            outcome.tasks.get_mut("a").expect("it is there")
        }
        assert!(broken(|_| ()).is_empty());
        assert_eq!(broken(|outcome| drop(outcome.tasks.remove("a"))), ["tasks"]);
        assert_eq!(broken(|outcome| first(outcome).result = None), ["end"]);
        assert_eq!(broken(|outcome| first(outcome).state = "running"), ["open", "end"]);
        assert_eq!(broken(|outcome| first(outcome).twins = 1), ["twins"]);
        assert_eq!(
            broken(|outcome| first(outcome).journal.push(EventKind::Completed)),
            ["journal"]
        );
        assert_eq!(broken(|outcome| first(outcome).history.clear()), ["history"]);
        assert_eq!(broken(|outcome| first(outcome).attempts = 3), ["attempts"]);
        let lost = broken(|outcome| (first(outcome).attempts, first(outcome).lost) = (3, 1));
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(broken(|outcome| outcome.budgets[0].1 = 8), ["spent"]);
        assert_eq!(broken(|outcome| outcome.budgets[0].2 = 1), ["reserved", "spent"]);
        assert_eq!(broken(|outcome| outcome.letters = 1), ["letters"]);
        assert_eq!(broken(|outcome| outcome.trees.clear()), ["run"]);
        let wait = |state, early| {
            let name = |word: &str| word.to_owned();
            (name("a"), WaitFor::Timer, name("0.0"), state, Value::Null, early)
        };
        let open = wait(WaitState::Pending, false);
        assert_eq!(broken(|outcome| outcome.waits.push(open)), ["wait", "wait"]);
        let early = wait(WaitState::Answered, true);
        assert_eq!(broken(|outcome| outcome.waits.push(early)), ["wait", "wait"]);
    }
}
