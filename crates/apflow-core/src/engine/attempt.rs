//! One attempt: inputs, hooks, executor, time limit, and what the answer means.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    EngineConfig, Inner, asked, demo, guard,
    hooks::{self, Around},
    keeper, output, spending,
};
use crate::{
    condition::{self, Judged},
    dataflow,
    executor::{Context, ExecuteError, Executor, Given, Notes, Park, Progress},
    group,
    hook::{Attempted, Hook, Verdict},
    id::TaskId,
    observe::Seen,
    pattern,
    registry::NoExecutor,
    store::{Claimed, Ended, Settlement},
    task::{self, Failure, FailureKind, LastProgress, Over, RetryPolicy},
    time::Timestamp,
};

/// What a task waits for may be so long, in bytes of its JSON.
const MAX_WAIT_BYTES: usize = 128 << 10;

/// Runs one attempt to its end, or until it was told to stop and the grace period is over.
///
/// It never panics and always answers; an attempt that was stopped answers [`Ended::HandedBack`].
pub(super) async fn run(
    engine: Arc<Inner>,
    claimed: Claimed,
    stop: CancellationToken,
    reporter: Arc<Reporter>,
) -> Settlement {
    let begun = Instant::now();
    let executor = claimed.definition.executor();
    engine.see(&Seen::Attempt {
        task: &claimed.id,
        tree: &claimed.tree_id,
        executor,
        attempt: claimed.attempt,
    });
    for notice in &claimed.given.notices {
        let (task, tree) = (&claimed.id, &claimed.tree_id);
        tracing::warn!(%task, %tree, "{} comes to its limit", notice.key);
        engine.see(&Seen::Budget { task, tree, notice });
    }
    let notes = Arc::default();
    let attempt = Attempt {
        engine: &engine,
        claimed: &claimed,
        stop: &stop,
        reporter: Arc::clone(&reporter),
        begun,
        notes: Arc::clone(&notes),
    };
    let work = AssertUnwindSafe(attempt.perform()).catch_unwind();
    let (mut outcome, inputs) = tokio::select! {
        biased;
        done = work => done.unwrap_or_else(|panic| (attempt.panicked(panic.as_ref()), None)),
        () = stopped(&stop, engine.config.grace) => (Ended::HandedBack, None),
    };
    // Whoever panicked while he held it has written whole notes or none.
    let mut notes = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
    if let Err(failure) = asked::go_round(&mut notes.wishes, &outcome, &claimed, inputs.as_ref()) {
        let failure = Failure::new(failure.kind, output::storable_sentence(failure.message));
        outcome = Ended::Failed { failure, retry_after: None, result: Value::Null };
    }
    engine.see(&Seen::Ended {
        task: &claimed.id,
        tree: &claimed.tree_id,
        executor,
        outcome: &outcome,
        took: begun.elapsed(),
    });
    if matches!(outcome, Ended::Failed { retry_after: Some(_), .. }) {
        notes.progress = reporter.last();
    }
    let Claimed { definition, id, .. } = &claimed;
    asked::finish(&mut notes.wishes, &outcome, definition, id, engine.ids.as_ref());
    spending::complete(&mut notes.usage, &outcome, &claimed, &engine.config.rules);
    Settlement { seq: claimed.seq, lease: claimed.lease, outcome, resolved_inputs: inputs, notes }
}

async fn stopped(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    sleep(grace).await;
}

struct Attempt<'a> {
    engine: &'a Arc<Inner>,
    claimed: &'a Claimed,
    stop: &'a CancellationToken,
    reporter: Arc<Reporter>,
    begun: Instant,
    notes: Arc<Mutex<Notes>>,
}

impl Attempt<'_> {
    /// The outcome, and the inputs if they differ from the caller's.
    async fn perform(&self) -> (Ended, Option<Map<String, Value>>) {
        let registry = &self.engine.registry;
        let definition = &self.claimed.definition;
        let manifests = |id: &str| registry.manifest(id).cloned();
        let taken = match condition::judge(self.claimed, &manifests) {
            Ok(Judged::Run(taken)) => taken,
            Ok(Judged::PassOver(why)) => {
                return (Ended::Skipped { why: output::storable_sentence(why) }, None);
            }
            Err(failure) => {
                return (self.refused(failure.kind, failure.message, Value::Null), None);
            }
        };
        let own = asked::own_needs(definition, &taken, &manifests);
        let mut inputs = dataflow::resolve(definition, &own, &manifests);
        if let Some(model) = &self.claimed.given.model {
            inputs.insert("model".to_owned(), Value::String(model.clone()));
        }
        let hooks = self.engine.hooks.now();
        let verdict = hooks::before(&hooks, Around::Task, self.attempted(), &mut inputs).await;
        if let Some(why) = self.spoilt_by_a_hook(&hooks, &inputs) {
            return (self.refused(FailureKind::Hook, why, Value::Null), None);
        }
        let (ended, differ) = match self.said(verdict) {
            Some(ended) => (ended, inputs != definition.inputs),
            None => self.around_executor(&hooks, &mut inputs).await,
        };
        hooks::after(&hooks, Around::Task, self.attempted(), &inputs, &ended).await;
        (ended, differ.then_some(inputs))
    }

    /// The outcome, and whether the inputs differ from the caller's; if not, they may be gone.
    async fn around_executor(
        &self,
        hooks: &[Arc<dyn Hook>],
        inputs: &mut Map<String, Value>,
    ) -> (Ended, bool) {
        let definition = &self.claimed.definition;
        let differ = |inputs: &Map<String, Value>| *inputs != definition.inputs;
        let found = self.engine.registry.find(definition.executor(), self.claimed.id.as_str());
        let executor = match found {
            Ok(executor) => executor,
            Err(none) => return (self.without_executor(&none, inputs), differ(inputs)),
        };
        if self.claimed.demo {
            return (self.demonstrate(executor.as_ref(), inputs).await, differ(inputs));
        }
        let around = Around::Executor(&executor.manifest().id);
        let verdict = hooks::before(hooks, around, self.attempted(), inputs).await;
        if let Some(why) = self.spoilt_by_a_hook(hooks, inputs) {
            inputs.clone_from(&definition.inputs);
            return (self.refused(FailureKind::Hook, why, Value::Null), false);
        }
        let differ = differ(inputs);
        let ended = if let Some(ended) = self.said(verdict) {
            ended
        } else {
            let keep = differ || !hooks.is_empty();
            let own = if keep { inputs.clone() } else { std::mem::take(inputs) };
            self.execute(executor.as_ref(), own).await
        };
        hooks::after(hooks, around, self.attempted(), inputs, &ended).await;
        (ended, differ)
    }

    /// What a hook wants instead of the executor, if it wants something.
    fn said(&self, verdict: Verdict) -> Option<Ended> {
        match verdict {
            Verdict::Run => None,
            Verdict::Refuse(why) => Some(self.refused(FailureKind::Hook, why, Value::Null)),
            Verdict::Answer(result) => Some(self.judge(Ok(result))),
        }
    }

    /// Why the inputs can no longer be stored, if a hook made them so.
    fn spoilt_by_a_hook(
        &self,
        hooks: &[Arc<dyn Hook>],
        inputs: &Map<String, Value>,
    ) -> Option<String> {
        if hooks.is_empty() {
            return None;
        }
        let EngineConfig { max_result_depth, max_result_bytes, .. } = self.engine.config;
        // Results of several needs lie side by side, one level deeper.
        let refuse = |value| output::refuse(value, max_result_depth + 1, max_result_bytes);
        inputs.iter().find_map(|(key, value)| {
            let nul = key.contains('\0').then(|| "its name contains U+0000".to_owned());
            Some(format!("after the hooks, input `{}`: {}", key, nul.or_else(|| refuse(value))?))
        })
    }

    fn attempted(&self) -> Attempted<'_> {
        Attempted {
            task: &self.claimed.id,
            tree: &self.claimed.tree_id,
            attempt: self.claimed.attempt,
            demo: self.claimed.demo,
            definition: &self.claimed.definition,
        }
    }

    /// What the executor might have answered; nothing is done.
    async fn demonstrate(&self, executor: &dyn Executor, inputs: &Map<String, Value>) -> Ended {
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| executor.demo(inputs)));
        let scale = self.engine.config.sleep_scale;
        let (result, pause) = demo::result(answer.unwrap_or_default(), scale);
        let limit = self.limit().filter(|limit| limit.left < pause);
        let pause = limit.map_or(pause, |limit| limit.left);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(pause) => {}
        }
        match limit {
            Some(limit) => self.out_of_time(limit),
            None => self.judge(Ok(result)),
        }
    }

    async fn execute(&self, executor: &dyn Executor, inputs: Map<String, Value>) -> Ended {
        let definition = &self.claimed.definition;
        let manifest = executor.manifest();
        if let Some(why) = &manifest.unavailable {
            let why = format!("Executor '{}' cannot run here: {why}", manifest.id);
            return self.refused(FailureKind::NotAllowed, why, Value::Null);
        }
        let declared = definition.schemas.get("input_schema").unwrap_or(&manifest.input_schema);
        let mut inputs = inputs;
        if declared.is_object() {
            let instance = Value::Object(inputs);
            if let Err(why) = self.engine.schemas.check(declared, &instance) {
                let why = format!("[{}] {why}", manifest.id);
                return self.refused(FailureKind::InvalidInput, why, Value::Null);
            }
            let Value::Object(checked) = instance else {
                return self.refused(FailureKind::InvalidInput, "no object", Value::Null);
            };
            inputs = checked;
        }
        let _place = match self.engine.gates.get(&manifest.id) {
            // The gate is never closed, so there is always a place in the end.
            Some(gate) => gate.acquire().await.ok(),
            None => None,
        };
        self.call(executor, inputs).await
    }

    async fn call(&self, executor: &dyn Executor, inputs: Map<String, Value>) -> Ended {
        let limit = self.limit();
        let context = self.context(limit.map(|limit| limit.left));
        let breaker = guard::of_executor(&context, self.engine, self.claimed, executor.manifest());
        if let Err(held) = breaker.pass().await {
            return self.judge(Err(held));
        }
        // Should it panic, that is what has been said.
        breaker.failed();
        let ended = self.call_within(limit, executor.execute(inputs, &context)).await;
        guard::tell(&breaker, &ended);
        ended
    }

    async fn call_within(
        &self,
        limit: Option<Limit>,
        call: impl Future<Output = Result<Value, ExecuteError>>,
    ) -> Ended {
        let call = self.with_signs_of_life(call);
        let Some(limit) = limit else { return call.await };
        if let Ok(ended) = timeout(limit.left, call).await {
            return ended;
        }
        // For whatever the executor has started beside its own future.
        self.stop.cancel();
        self.out_of_time(limit)
    }

    /// The end of a call, unless it is silent for longer than its task allows.
    async fn with_signs_of_life(
        &self,
        call: impl Future<Output = Result<Value, ExecuteError>>,
    ) -> Ended {
        let timeouts = &self.claimed.definition.timeouts;
        let silence = timeouts.heartbeat_timeout_seconds;
        let Some(silence) = silence.and_then(|time| Duration::try_from_secs_f64(time).ok()) else {
            return self.judge(call.await);
        };
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                answer = call.as_mut() => return self.judge(answer),
                () = self.reporter.beat.notified() => {}
                () = sleep(silence) => break,
            }
        }
        self.stop.cancel();
        let why =
            format!("the attempt reported no progress for {silence:?} (heartbeat_timeout_seconds)");
        self.stumbled(Failure::new(FailureKind::Timeout, why), None, Value::Null)
    }

    fn context(&self, timeout: Option<Duration>) -> Context {
        let Claimed { id, tree_id, lease, run, attempt, definition, .. } = self.claimed;
        Context {
            task: id.clone(),
            tree: tree_id.clone(),
            name: definition.name.clone(),
            user_id: definition.user_id.clone(),
            attempt: *attempt,
            idempotency_key: asked::key_of_pass(id, *run, self.claimed.given.cycle),
            fence: *lease,
            params: definition.params.clone(),
            timeout,
            cancelled: self.stop.clone(),
            progress: Arc::clone(&self.reporter) as Arc<dyn Progress>,
            given: Arc::new(self.given()),
            notes: Arc::clone(&self.notes),
            keeper: keeper::of(self.engine, self.claimed),
            circuits: guard::circuits(self.engine),
            channels: Some(self.engine.channels.clone()),
        }
    }

    /// What came with the task, and the members where it is a group.
    fn given(&self) -> Given {
        let Claimed { given, definition, needs, .. } = self.claimed;
        let members = if definition.executor() == Some(group::EXECUTOR) {
            group::members(definition, needs)
        } else {
            Vec::new()
        };
        let names = if pattern::is_one(definition.executor()) {
            condition::context(self.claimed)
        } else {
            Value::Null
        };
        Given { members, names, ..given.clone() }
    }

    /// The shortest of what the attempt, its task and its tree have left.
    fn limit(&self) -> Option<Limit> {
        let own = self
            .claimed
            .definition
            .timeout_seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .or(self.engine.config.attempt_timeout)
            .map(|left| Limit { left, of: LimitOf::Attempt });
        let until = |deadline: Option<Timestamp>, of: LimitOf| {
            let left = deadline?.since(self.claimed.now).saturating_sub(self.begun.elapsed());
            Some(Limit { left, of })
        };
        let task = until(self.claimed.given.deadline, LimitOf::Task);
        let tree = until(self.claimed.tree_deadline, LimitOf::Tree);
        own.into_iter().chain(task).chain(tree).min_by_key(|limit| limit.left)
    }

    fn out_of_time(&self, limit: Limit) -> Ended {
        match limit.of {
            LimitOf::Attempt => {
                let left = limit.left;
                let why = format!("the attempt took longer than its timeout of {left:?}");
                self.stumbled(Failure::new(FailureKind::Timeout, why), None, Value::Null)
            }
            LimitOf::Task => {
                let seconds = self.claimed.definition.timeouts.deadline_seconds;
                let time = Duration::try_from_secs_f64(seconds.unwrap_or_default());
                let why = Over::Whole(time.unwrap_or_default()).in_words();
                self.refused(FailureKind::Timeout, why, Value::Null)
            }
            LimitOf::Tree => {
                let why = "the time of the whole tree was over while the task ran";
                self.refused(FailureKind::Timeout, why, Value::Null)
            }
        }
    }

    /// What an executor's answer means (ruling 8).
    fn judge(&self, answer: Result<Value, ExecuteError>) -> Ended {
        let config = &self.engine.config;
        let storable =
            |value: &Value| output::refuse(value, config.max_result_depth, config.max_result_bytes);
        match answer {
            Ok(result) => {
                if let Some(why) = storable(&result) {
                    output::dismantle(result);
                    let why = format!("the result cannot be stored: {why}");
                    return self.refused(FailureKind::InvalidOutput, why, Value::Null);
                }
                match error_in(&result) {
                    None => Ended::Completed { result },
                    Some(message) => {
                        let failure = Failure::new(FailureKind::Executor, message);
                        self.stumbled(failure, None, result)
                    }
                }
            }
            Err(ExecuteError::Transient { failure, retry_after }) => {
                self.stumbled(failure, retry_after, Value::Null)
            }
            Err(ExecuteError::Permanent { failure, result }) => {
                let result = if storable(&result).is_none() {
                    result
                } else {
                    output::dismantle(result);
                    Value::Null
                };
                self.refused(failure.kind, failure.message, result)
            }
            Err(ExecuteError::Parked(park)) => self.parked(*park),
            Err(ExecuteError::Held(held)) => Ended::Held(*held),
            Err(ExecuteError::Cancelled) => {
                let why = "the executor stopped as if the task had been cancelled";
                self.refused(FailureKind::Executor, why, Value::Null)
            }
        }
    }

    /// The wait gets the name it is answered under; said again it is the same one.
    fn parked(&self, park: Park) -> Ended {
        let Park { mut wait, at_most } = park;
        let config = &self.engine.config;
        if let Some(why) = output::refuse(&wait.detail, config.max_result_depth, MAX_WAIT_BYTES) {
            let why = format!("what the task waits for cannot be stored: {why}");
            return self.refused(FailureKind::InvalidInput, why, Value::Null);
        }
        if wait.key.is_empty() {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            wait.key = format!("{}.{}", self.claimed.given.cycle, notes.asked);
            notes.asked += 1;
        }
        wait.id = self.engine.ids.next();
        Ended::Parked { wait, at_most }
    }

    /// A failure that another attempt may cure.
    fn stumbled(&self, failure: Failure, asked: Option<Duration>, result: Value) -> Ended {
        let Claimed { id, run, definition, attempt, .. } = self.claimed;
        let most = self.engine.config.max_retry_delay;
        let policy = RetryPolicy::of(&definition.durability, most);
        let lot = || task::lot(id, *run, *attempt);
        let retry_after = policy.after(&failure, *attempt, asked, lot);
        let message = output::storable_sentence(failure.message);
        Ended::Failed { failure: Failure::new(failure.kind, message), retry_after, result }
    }

    /// A failure that would only repeat itself.
    #[expect(clippy::unused_self, reason = "reads like its counterpart `stumbled`")]
    fn refused(&self, kind: FailureKind, why: impl Into<String>, result: Value) -> Ended {
        let failure = Failure::new(kind, output::storable_sentence(why.into()));
        Ended::Failed { failure, retry_after: None, result }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Ended {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        let why = said.map_or_else(String::new, |said| format!("the executor panicked: {said}"));
        self.stumbled(Failure::new(FailureKind::Panic, why), None, Value::Null)
    }

    /// The failure and the result that legacy clients expect when no executor can be had.
    fn without_executor(&self, none: &NoExecutor, inputs: &Map<String, Value>) -> Ended {
        let Claimed { id, definition, .. } = self.claimed;
        let mut result = json!({
            "error": none.to_string(),
            "task_id": id,
            "name": definition.name,
            "task_type": definition.schemas.get("type"),
            "task_params": definition.executor(),
            "inputs": inputs,
        });
        let kind = match none {
            NoExecutor::Unnamed { .. } | NoExecutor::Unknown { .. } => FailureKind::UnknownExecutor,
            NoExecutor::NotAllowed { allowed, .. } => {
                result["allowed_executors"] = json!(allowed);
                FailureKind::NotAllowed
            }
        };
        self.refused(kind, none.to_string(), result)
    }
}

#[derive(Clone, Copy)]
struct Limit {
    left: Duration,
    of: LimitOf,
}

/// Whose time is limited.
#[derive(Clone, Copy)]
enum LimitOf {
    Attempt,
    Task,
    Tree,
}

/// The error a legacy result object carries, if it does.
fn error_in(result: &Value) -> Option<String> {
    match result.get("error")? {
        Value::Null => None,
        Value::String(message) => Some(message.clone()),
        other => Some(other.to_string()),
    }
}

/// Where one attempt says how far it is; the worker stores the newest value with the next renewal.
pub(super) struct Reporter {
    pub(super) task: TaskId,
    engine: Arc<Inner>,
    /// Bits of the fraction; those of NaN mean there is nothing new.
    newest: AtomicU64,
    news: Arc<Notify>,
    /// The attempt gave a sign of life.
    beat: Notify,
    last: Mutex<Option<LastProgress>>,
}

/// So many characters of what an attempt says of its progress are handed to the next one.
const MESSAGE_CHARS: usize = 1_000;

impl Reporter {
    pub(super) fn new(engine: Arc<Inner>, task: TaskId, news: Arc<Notify>) -> Self {
        let newest = AtomicU64::new(f64::NAN.to_bits());
        Self { task, engine, newest, news, beat: Notify::new(), last: Mutex::default() }
    }

    /// What was reported since the last call.
    pub(super) fn take(&self) -> Option<f64> {
        let newest = f64::from_bits(self.newest.swap(f64::NAN.to_bits(), Ordering::Relaxed));
        (!newest.is_nan()).then_some(newest)
    }

    /// The newest of everything that was reported.
    fn last(&self) -> Option<LastProgress> {
        // It is written in one go, so a panic leaves it whole.
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Reporter {
    fn report(&self, fraction: f64, message: Option<&str>) {
        if fraction.is_nan() {
            return;
        }
        let fraction = fraction.clamp(0.0, 1.0);
        let shown = message
            .map(|text| output::storable_sentence(text.chars().take(MESSAGE_CHARS).collect()));
        let last = LastProgress { fraction, message: shown };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        self.beat.notify_one();
        self.newest.store(fraction.to_bits(), Ordering::Relaxed);
        self.engine.see(&Seen::Progress { task: &self.task, fraction, message });
        self.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_that_is_not_null_makes_a_result_a_failure() {
        assert_eq!(error_in(&json!({"error": null, "x": 1})), None);
        assert_eq!(error_in(&json!({"success": false})), None);
        assert_eq!(error_in(&json!(["error"])), None);
        assert_eq!(error_in(&json!({"error": "no"})).as_deref(), Some("no"));
        assert_eq!(error_in(&json!({"error": {"a": 1}})).as_deref(), Some(r#"{"a":1}"#));
        assert!(error_in(&json!({"error": false})).is_some(), "false is not null");
    }
}
