//! Thirty days of a schedule, with retries, timeouts, timers and questions, on a clock moved by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use apflow::{
    core::{
        engine::{Engine, EngineConfig, Scheduler, SchedulerConfig},
        question::Question,
        registry::Registry,
        submit::Order,
        task::{OnTimeout, State},
        testing::{RuntimeClock, SeededIds},
        time::{Clock, Timestamp},
    },
    prelude::*,
    storage::{OpenOptions, open},
};
use serde_json::{Map, Value, json};

const DAYS: u64 = 30;
const DAY: Duration = Duration::from_hours(24);

/// Does what its name says, and counts.
struct Chore {
    manifest: Manifest,
    attempts: Arc<Mutex<BTreeMap<String, u64>>>,
    hanging: Arc<Mutex<u64>>,
}

/// Takes back that somebody hangs, when he does not any more.
struct Hanging(Arc<Mutex<u64>>);

impl Drop for Hanging {
    fn drop(&mut self) {
        *self.0.lock().expect("whole") -= 1;
    }
}

#[apflow::async_trait]
impl Executor for Chore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        _: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let name = context.name.as_str();
        *self.attempts.lock().expect("whole").entry(name.to_owned()).or_default() += 1;
        let (_, run) = context.idempotency_key.rsplit_once(':').expect("a task and a run");
        let run: u64 = run.parse().expect("a number");
        match name {
            "fetch" if run.is_multiple_of(3) && context.attempt == 1 => {
                Err(ExecuteError::transient("the other side is away"))
            }
            "crunch" if run.is_multiple_of(10) && context.attempt == 1 => {
                *self.hanging.lock().expect("whole") += 1;
                let _hanging = Hanging(Arc::clone(&self.hanging));
                std::future::pending().await
            }
            "rest" => context.sleep(Duration::from_hours(2)).map(|()| json!(run)),
            "ask" => {
                let question = Question::approval("Publish?");
                let hour = Duration::from_hours(1);
                let answer = context.ask(question.within(hour, OnTimeout::Default(json!(true))))?;
                Ok(json!(answer.is_approved()))
            }
            _ => Ok(json!(run)),
        }
    }
}

/// Lets everything happen that can happen now, and says when something will happen next.
async fn settle(
    engine: &Engine,
    scheduler: &Scheduler,
    clock: &RuntimeClock,
    stuck: &Mutex<u64>,
) -> Duration {
    for _ in 0..100_000 {
        tokio::task::yield_now().await;
        let now = clock.now();
        let Some(slot) = scheduler.stats().next_due else { continue };
        let mut next = vec![slot];
        let (mut moving, mut running) = (false, 0);
        for record in engine.store().subtree(&"report".into()).await.expect("the tasks") {
            match record.task.state {
                State::Ready => moving = true,
                State::Running { .. } => running += 1,
                State::Retrying { at, .. } => next.push(at),
                State::Waiting { until, .. } => next.extend(until),
                _ => {}
            }
        }
        let stuck = *stuck.lock().expect("whole");
        if stuck > 0 {
            // What hangs is stopped by its timeout.
            next.push(now.after(Duration::from_mins(1)));
        }
        let next = next.into_iter().min().expect("a slot at least");
        if !moving && running == stuck && next > now {
            return next.since(now);
        }
    }
    panic!("it does not settle")
}

#[tokio::test(start_paused = true)]
async fn thirty_days_of_a_schedule_pass_on_a_virtual_clock() {
    // As long as a blocking task is there, time moves only when it is told to: answers of the
    // database come from a thread of its own, and the runtime would think that it is idle.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let guard = tokio::task::spawn_blocking(move || held.recv().is_err());

    let midnight = Timestamp(1_790_000_000_000_000 / 86_400_000_000 * 86_400_000_000);
    let clock = Arc::new(RuntimeClock::new(midnight));
    let options = OpenOptions { clock: Some(clock.clone()), ..OpenOptions::default() };
    let store = open("sqlite::memory:", options).await.expect("opens");
    let (attempts, hanging) = (Arc::default(), Arc::default());
    let mut registry = Registry::new();
    registry.register(Chore {
        manifest: Manifest::new("chore", "Does what its name says."),
        attempts: Arc::clone(&attempts),
        hanging: Arc::clone(&hanging),
    });
    // Nobody has to look for himself: no signal is lost here.
    let config = EngineConfig { lease: DAY, back_stop: DAY * 90, ..EngineConfig::default() };
    let engine = Engine::builder(store, Arc::new(SeededIds::new("id"))).registry(registry);
    let engine = engine.config(config).build();
    let worker = engine.work();

    let chore = |name: &str| task(name).id(name).executor("chore");
    let minutes = Duration::from_mins;
    let tasks = vec![
        chore("report").cron("0 6 * * *").build(),
        chore("fetch").parent("report").max_attempts(3).backoff("fixed", minutes(4)).build(),
        chore("crunch")
            .parent("report")
            .timeout(minutes(1))
            .max_attempts(2)
            .backoff("fixed", minutes(3))
            .build(),
        chore("rest").parent("report").build(),
        chore("ask").parent("report").build(),
    ];
    engine.submit(Order { tasks, ..Order::default() }).await.expect("it is stored");
    let config = SchedulerConfig { back_stop: DAY * 90, ..SchedulerConfig::default() };
    let scheduler = engine.schedule(config);

    let begun = std::time::Instant::now();
    let (end, mut steps) = (midnight.after(DAY * 31), 0);
    loop {
        let report = engine.store().record(&"report".into()).await.expect("read").expect("there");
        if report.definition.schedule.run_count >= i64::try_from(DAYS).expect("few")
            && report.task.state == State::Completed
        {
            break;
        }
        let step = settle(&engine, &scheduler, &clock, &hanging).await;
        assert!(clock.now() < end, "the month is over and it is not done");
        // Timers are as fine as a millisecond.
        tokio::time::advance(step + Duration::from_millis(1)).await;
        steps += 1;
    }
    let wall = begun.elapsed();

    let fired = scheduler.stats().fired;
    let counted = attempts.lock().expect("whole").clone();
    let passed = clock.now().since(midnight);
    println!(
        "{} days in {wall:.1?}: {fired} runs, {steps} steps, calls of executors {counted:?}",
        passed.as_secs() / DAY.as_secs() + 1,
    );
    assert_eq!(fired, DAYS);
    // Ten runs try `fetch` twice, three wait for `crunch` in vain; who waits is called again.
    let wanted = [("ask", 60), ("crunch", 33), ("fetch", 40), ("report", 30), ("rest", 60)];
    let wanted = wanted.map(|(name, times)| (name.to_owned(), times));
    assert_eq!(counted, BTreeMap::from(wanted));
    assert!(passed > DAY * 29, "{passed:?}");
    // Some 100 ms on an idle machine without optimisation; nobody slept.
    assert!(wall < Duration::from_secs(20), "{wall:?}");
    drop((scheduler, worker, release));
    assert!(guard.await.expect("it ends"));
}
