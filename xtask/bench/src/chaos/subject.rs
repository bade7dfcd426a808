//! What is killed at its writes: one small workflow for each durable step there is.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use apflow::{
    core::{
        budget::{BudgetKey, Money, Period, Rules, Scope, Unit, Usage},
        engine::{Engine, EngineConfig},
        executor::EventWait,
        question::Question,
        store::{
            Answering, AttemptOutcome, Idempotency, NewBudget, Page, Publish, Store, WaitFilter,
            WaitState,
        },
        submit::{Order, TaskSpec},
        task::{TreeOptions, WaitFor},
    },
    prelude::*,
    storage::OpenOptions,
    system::SystemIds,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Result, doing, log::RunDir, words::Words};

/// A durable step, as a workflow that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A task that fails twice.
    Retry,
    /// A task that asks a person.
    Question,
    /// A task that waits for an event.
    Event,
    /// A task that sleeps.
    Timer,
    /// A task that goes round three times.
    Iteration,
    /// A task that spawns a hundred others, and one that waits for them all.
    Spawn,
    /// A step fails, and what the others did is undone.
    Compensation,
    /// A task that spends, fails, and spends again.
    Budget,
    /// A task that goes on from its checkpoint.
    Checkpoint,
}

impl Subject {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Retry,
        Self::Question,
        Self::Event,
        Self::Timer,
        Self::Iteration,
        Self::Spawn,
        Self::Compensation,
        Self::Budget,
        Self::Checkpoint,
    ];

    /// The word on the command line, and the executor that stands for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Question => "question",
            Self::Event => "event",
            Self::Timer => "timer",
            Self::Iteration => "iteration",
            Self::Spawn => "spawn",
            Self::Compensation => "compensation",
            Self::Budget => "budget",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// The subject of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == word)
    }

    /// The workflow; the task under test is the first one, and another one comes after it.
    fn tasks(self) -> Vec<TaskSpec> {
        let name = self.as_str();
        let first = task(name)
            .id(name)
            .tree(name)
            .executor(name)
            .user("ann")
            .max_attempts(MANY)
            .backoff("fixed", Duration::from_millis(100));
        let after = task("after").id("after").parent(name).depends_on([name]).executor(ECHO);
        vec![first.build(), after.max_attempts(MANY).build()]
    }

    fn order(self) -> Order {
        let once = self.as_str().to_owned();
        Order {
            tasks: self.tasks(),
            options: TreeOptions::default(),
            start: true,
            idempotency: Some(Idempotency {
                owner: String::new(),
                key: once.clone(),
                digest: once,
            }),
            user_id: Some("ann".to_owned()),
            callback: None,
            demo: false,
        }
    }
}

/// Attempts that no kill uses up.
const MANY: u32 = 10;
/// The executor of tasks that only end.
const ECHO: &str = "echo";
/// How many tasks are spawned.
pub const SPAWNED: usize = 100;
/// How long the timer sleeps.
const NAP: Duration = Duration::from_millis(40);

/// What a worker of one subject is told.
#[derive(Debug, Clone)]
pub struct SubjectOptions {
    /// What it runs.
    pub subject: Subject,
    /// The database.
    pub db: String,
    /// Where it logs.
    pub dir: RunDir,
    /// When a write is acknowledged.
    pub durability: Durability,
}

impl SubjectOptions {
    /// The arguments that make a process of this program such a worker.
    pub fn arguments(&self) -> Vec<String> {
        let dir = self.dir.path().display().to_string();
        let words =
            ["subject", "--subject", self.subject.as_str(), "--db", &self.db, "--dir", &dir];
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if self.durability == Durability::Relaxed {
            words.push("--relaxed".to_owned());
        }
        words
    }

    /// What [`arguments`](Self::arguments) said.
    pub fn read(words: &[String]) -> Result<Self> {
        let mut words = Words::new(words);
        let name: String = words.value("subject")?.ok_or("--subject is missing: what to run")?;
        let subject = Subject::parse(&name).ok_or_else(|| format!("there is no subject {name}"))?;
        let db = words.value("db")?.ok_or("--db is missing: the address of the database")?;
        let dir: String = words.value("dir")?.ok_or("--dir is missing: where to log")?;
        let durability = words.durability();
        words.nothing_is_left()?;
        Ok(Self { subject, db, dir: RunDir::at(dir)?, durability })
    }
}

/// Plays the worker: submits the workflow unless it is there, and ends when it has.
pub async fn work(options: &SubjectOptions) -> ExitCode {
    match try_to_work(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

async fn try_to_work(options: &SubjectOptions) -> Result<()> {
    let opened = OpenOptions { durability: options.durability, ..OpenOptions::default() };
    let store = apflow::storage::open(&options.db, opened)
        .await
        .map_err(|error| format!("{error} ({})", error.hint().unwrap_or_default()))?;
    let rules = Rules {
        executors: [(Subject::Budget.as_str().to_owned(), 200)].into(),
        ..Rules::default()
    };
    let engine = Engine::builder(Arc::clone(&store), Arc::new(SystemIds))
        .registry(registry(&store))
        .config(EngineConfig {
            slots: 8,
            lease: Duration::from_secs(2),
            rules: Arc::new(rules),
            ..EngineConfig::default()
        })
        .build();
    let worker = engine.work();
    if options.subject == Subject::Budget {
        set_budgets(store.as_ref()).await?;
    }
    engine.submit(options.subject.order()).await.map_err(doing("submitting"))?;
    let outside = tokio::spawn(be_outside(Arc::clone(&store)));
    let tree = TreeId::new(options.subject.as_str());
    engine.wait(&tree).await.map_err(doing("waiting for the run"))?;
    outside.abort();
    worker.stop().await;
    Ok(())
}

/// The budgets that the spending task is held to; setting them again changes nothing.
async fn set_budgets(store: &dyn Store) -> Result<()> {
    let owners = [(Scope::User, "ann", Unit::Tokens), (Scope::Global, "", Unit::Usd)];
    for (scope, scope_id, unit) in owners {
        let key = BudgetKey { scope, scope_id: scope_id.to_owned(), unit, period: Period::Total };
        let budget = NewBudget { key, limit: 1_000_000, policy: None };
        store.set_budget(budget).await.map_err(doing("setting a budget"))?;
    }
    Ok(())
}

/// Whoever answers questions and publishes events. It does not know what it did before it was killed.
async fn be_outside(store: Arc<dyn Store>) {
    let open = WaitFilter { state: Some(WaitState::Pending), ..WaitFilter::default() };
    loop {
        let waits = store.waits(&open, Page::default()).await.unwrap_or_default();
        for wait in waits {
            // What it is refused it tries again, as long as the wait is there.
            match wait.what {
                WaitFor::Feedback => {
                    let value = json!({ "approved": true });
                    let by = Some("bob".to_owned());
                    let answering = Answering { id: wait.id, value, by, withdraw: false };
                    let _ = store.answer(answering).await;
                }
                WaitFor::Event => {
                    let event = Publish {
                        id: "paid-1".to_owned(),
                        topic: TOPIC.to_owned(),
                        payload: json!({ "order": 7, "paid": true }),
                        key: Some("paid-1".to_owned()),
                        user_id: None,
                    };
                    let _ = store.publish(event).await;
                }
                _ => {}
            }
        }
        sleep(Duration::from_millis(4)).await;
    }
}

/// What the waiting task waits for.
const TOPIC: &str = "order.paid";

fn child(name: String, executor: &str) -> TaskSpec {
    task(name).executor(executor).max_attempts(MANY).build()
}

/// How many attempts of this task have failed: what an unreliable service remembers of it.
async fn failures(store: &dyn Store, task: &TaskId) -> std::result::Result<usize, ExecuteError> {
    let attempts = store.attempts(task).await;
    let attempts = attempts.map_err(|error| ExecuteError::transient(error.to_string()))?;
    let attempts = attempts.unwrap_or_default();
    Ok(attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Failed).count())
}

type Answered = std::result::Result<Value, ExecuteError>;

fn registry(store: &Arc<dyn Store>) -> Registry {
    let mut registry = Registry::new();
    registry.function(ECHO, "Ends.", |_: Value, context: Context| async move {
        Ok(json!(context.name))
    });
    let kept = Arc::clone(store);
    registry.function(
        Subject::Retry.as_str(),
        "Fails twice.",
        move |_: Value, context: Context| {
            let store = Arc::clone(&kept);
            async move {
                let failed = failures(store.as_ref(), &context.task).await?;
                if failed < 2 {
                    return Err(ExecuteError::transient(format!("failure {}", failed + 1)));
                }
                Ok(json!({ "failed": failed }))
            }
        },
    );
    registry.function(
        Subject::Question.as_str(),
        "Asks.",
        |_: Value, context: Context| async move {
            let answer = context.ask(Question::approval("May it go on?"))?;
            Ok(json!({ "approved": answer.is_approved(), "by": answer.by }))
        },
    );
    registry.function(
        Subject::Event.as_str(),
        "Waits for an event.",
        |_: Value, context: Context| async move {
            context.wait_for_event(EventWait::on(TOPIC).only("order", 7))
        },
    );
    registry.function(
        Subject::Timer.as_str(),
        "Sleeps.",
        |_: Value, context: Context| async move {
            context.sleep(NAP)?;
            Ok(json!("awake"))
        },
    );
    registry.function(
        Subject::Iteration.as_str(),
        "Goes round.",
        |_: Value, context: Context| async move { go_round(&context) },
    );
    registry.function(
        Subject::Spawn.as_str(),
        "Spawns.",
        |_: Value, context: Context| async move {
            context.spawn((0..SPAWNED).map(|at| child(format!("spawned-{at}"), ECHO)).collect())?;
            Ok(json!(SPAWNED))
        },
    );
    registry.function(
        Subject::Compensation.as_str(),
        "Undoes.",
        |_: Value, context: Context| async move { undo_what_was_done(&context) },
    );
    registry.function("refuse", "Fails for good.", |_: Value, _: Context| async move {
        Answered::Err(ExecuteError::permanent("no money"))
    });
    let kept = Arc::clone(store);
    registry.function(Subject::Budget.as_str(), "Spends.", move |_: Value, context: Context| {
        let store = Arc::clone(&kept);
        async move {
            let failed = failures(store.as_ref(), &context.task).await?;
            let cost = Some(Money(1_500));
            context.report_usage(Usage { cost, ..Usage::tokens("large", 100, 20) });
            if failed == 0 {
                return Err(ExecuteError::transient("the model was overloaded"));
            }
            Ok(json!("paid"))
        }
    });
    registry.function(
        Subject::Checkpoint.as_str(),
        "Keeps what it has.",
        |_: Value, context: Context| async move {
            let kept = context.given.checkpoint.as_ref();
            let from = kept.and_then(Value::as_u64).unwrap_or(0);
            for step in from + 1..=3 {
                context.checkpoint(json!(step)).await?;
            }
            Ok(json!({ "steps": 3 }))
        },
    );
    registry
}

fn go_round(context: &Context) -> Answered {
    let data = context.given.cycle_data.as_deref();
    let sum = data.and_then(Value::as_u64).unwrap_or(0) + 1;
    if sum < 3 {
        context.iterate(json!(sum))?;
    }
    Ok(json!({ "sum": sum, "cycle": context.given.cycle }))
}

fn undo_what_was_done(context: &Context) -> Answered {
    let steps = context.gather(vec![
        child("book".to_owned(), ECHO),
        child("pack".to_owned(), ECHO),
        child("pay".to_owned(), "refuse"),
    ])?;
    let done: Vec<String> = steps
        .iter()
        .filter(|step| step.completed())
        .map(|step| format!("undo {}", step.key))
        .collect();
    let undone = context.gather(done.into_iter().map(|name| child(name, ECHO)).collect())?;
    let mut results: Vec<&Value> =
        undone.iter().filter_map(|step| step.result.as_deref()).collect();
    results.sort_by_key(ToString::to_string);
    Ok(json!({ "undone": results }))
}
