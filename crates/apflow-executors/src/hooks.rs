//! Hooks for people who do not write Rust: a program or an address, asked around tasks and trees.
//!
//! What a hook is to know comes as one JSON object, on standard input or as the body of a `POST`. Before
//! a task it may answer with one of `{"inputs": {…}}`, `{"answer": …}` and `{"refuse": "why"}`; nothing,
//! or `{}`, means to go on. The programs are those the operator wrote into the configuration: tasks
//! cannot choose them, and they need not be on the list of what tasks may run.
//!
//! Around the tasks of a demonstration nobody is asked.

#[cfg(feature = "command")]
mod program;
#[cfg(feature = "rest")]
mod web;

use std::{collections::BTreeMap, fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use apflow_core::{
    hook::{Attempted, Hook, OnError, Verdict},
    id::TreeId,
    store::Ended,
    task::Outcome,
    webhook::{self, Signature, WebhookRequest, WebhookVerify},
};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::ExecutorsConfig;

/// Bytes that are sent to a hook at most.
const MAX_SENT: usize = 16 << 20;
/// Bytes of an answer that are read at most.
#[cfg(any(feature = "command", feature = "rest"))]
const MAX_ANSWER: usize = 1 << 20;
/// Seconds a hook may take unless it says otherwise.
const TIMEOUT: f64 = 10.0;
/// The most seconds it may say.
const MAX_TIMEOUT: f64 = 300.0;

/// One hook, as it stands in a configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookSpec {
    /// What it is called in logs and failures; otherwise it is called like its occasion.
    #[serde(default)]
    pub name: Option<String>,
    /// When it is asked.
    pub on: On,
    /// Who is asked.
    pub run: Run,
    /// Seconds it may take: 10 unless it says otherwise, 300 at most.
    #[serde(default = "default_timeout")]
    pub timeout: f64,
    /// What becomes of a task when the hook before it fails.
    #[serde(default)]
    pub on_error: OnError,
    /// For which tasks; without it for all.
    #[serde(default, rename = "match")]
    pub only: Match,
}

fn default_timeout() -> f64 {
    TIMEOUT
}

/// When a hook is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum On {
    /// Before a task.
    Pre,
    /// After a task completed.
    Post,
    /// A tree was stored.
    TreeCreated,
    /// A run of a tree began.
    TreeStarted,
    /// A run of a tree completed.
    TreeCompleted,
    /// A run of a tree failed or was cancelled.
    TreeFailed,
    /// Just before this executor.
    ExecutorPre(String),
    /// Just after this executor, however it ended.
    ExecutorPost(String),
    /// Before an inbound webhook triggers a task.
    WebhookVerify,
}

impl TryFrom<String> for On {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let executor = |id: &str| match id.trim() {
            "" => Err(format!("`{word}` names no executor; write `executor_pre:ID`")),
            id => Ok(id.to_owned()),
        };
        match word.as_str() {
            "pre" => Ok(Self::Pre),
            "post" => Ok(Self::Post),
            "tree_created" => Ok(Self::TreeCreated),
            "tree_started" => Ok(Self::TreeStarted),
            "tree_completed" => Ok(Self::TreeCompleted),
            "tree_failed" => Ok(Self::TreeFailed),
            "webhook_verify" => Ok(Self::WebhookVerify),
            other => match other.split_once(':') {
                Some(("executor_pre", id)) => executor(id).map(Self::ExecutorPre),
                Some(("executor_post", id)) => executor(id).map(Self::ExecutorPost),
                _ => Err(format!(
                    "`{other}` is no occasion for a hook; there are pre, post, tree_created, \
                     tree_started, tree_completed, tree_failed, executor_pre:ID, executor_post:ID \
                     and webhook_verify"
                )),
            },
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pre => f.write_str("pre"),
            Self::Post => f.write_str("post"),
            Self::TreeCreated => f.write_str("tree_created"),
            Self::TreeStarted => f.write_str("tree_started"),
            Self::TreeCompleted => f.write_str("tree_completed"),
            Self::TreeFailed => f.write_str("tree_failed"),
            Self::ExecutorPre(id) => write!(f, "executor_pre:{id}"),
            Self::ExecutorPost(id) => write!(f, "executor_post:{id}"),
            Self::WebhookVerify => f.write_str("webhook_verify"),
        }
    }
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Run {
    /// A program, without a shell and with a cleared environment.
    Command(Command),
    /// An address, past the same guard as the calls of tasks.
    Webhook(Webhook),
}

/// A program to ask.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// An absolute path, or a bare name to be found where the programs of tasks are.
    pub program: String,
    /// Its arguments, word for word.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Without the arguments, for they may hold a secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("program", &self.program).finish_non_exhaustive()
    }
}

/// An address to ask.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to `POST` to.
    pub url: String,
    /// Headers that are sent along.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// With what calls are signed as Standard Webhooks say; without it they are not.
    #[serde(default)]
    pub secret: Option<String>,
}

/// Without its address, headers and secret.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("signed", &self.secret.is_some()).finish_non_exhaustive()
    }
}

/// For which tasks a hook is asked; an empty list is no restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// Tasks of these executors.
    pub executors: Vec<String>,
    /// Tasks of these names.
    pub names: Vec<String>,
}

impl Match {
    fn covers(&self, task: Attempted<'_>) -> bool {
        let executor = task.definition.executor().unwrap_or_default();
        let among = |list: &[String], word: &str| {
            list.is_empty() || list.iter().any(|listed| listed == word)
        };
        among(&self.executors, executor) && among(&self.names, &task.definition.name)
    }
}

/// Makes a hook of what is written; the error says what is wrong with it.
pub fn build(spec: &HookSpec, config: &ExecutorsConfig) -> Result<Arc<dyn Hook>, String> {
    if spec.on == On::WebhookVerify {
        return Err(format!("{}: it checks inbound webhooks and is no hook of tasks", named(spec)));
    }
    Ok(Arc::new(Asking::new(spec, config)?))
}

/// Makes a check of inbound webhooks; when it fails, nothing is triggered, whatever it says itself.
pub fn build_verify(
    spec: &HookSpec,
    config: &ExecutorsConfig,
) -> Result<Arc<dyn WebhookVerify>, String> {
    if spec.on != On::WebhookVerify {
        return Err(format!("{}: it does not check inbound webhooks", named(spec)));
    }
    Ok(Arc::new(Asking::new(spec, config)?))
}

fn named(spec: &HookSpec) -> String {
    format!("hook `{}`", spec.name.clone().unwrap_or_else(|| spec.on.to_string()))
}

/// Who can be asked.
#[async_trait]
trait Ask: Send + Sync {
    /// The answer as it came.
    async fn ask(&self, about: &str, timeout: Duration) -> Result<String, String>;
}

#[cfg(feature = "command")]
#[async_trait]
impl Ask for program::Program {
    async fn ask(&self, about: &str, timeout: Duration) -> Result<String, String> {
        Self::ask(self, about, timeout).await
    }
}

#[cfg(feature = "rest")]
#[async_trait]
impl Ask for web::Web {
    async fn ask(&self, about: &str, timeout: Duration) -> Result<String, String> {
        Self::ask(self, about, timeout).await
    }
}

#[cfg(feature = "command")]
fn program(command: &Command, config: &ExecutorsConfig) -> Result<Box<dyn Ask>, String> {
    Ok(Box::new(program::Program::new(command, &config.command)?))
}

#[cfg(not(feature = "command"))]
fn program(_: &Command, _: &ExecutorsConfig) -> Result<Box<dyn Ask>, String> {
    Err("this apflow was built without commands".to_owned())
}

#[cfg(feature = "rest")]
fn web(webhook: &Webhook, config: &ExecutorsConfig) -> Result<Box<dyn Ask>, String> {
    Ok(Box::new(web::Web::new(webhook, config)?))
}

#[cfg(not(feature = "rest"))]
fn web(_: &Webhook, _: &ExecutorsConfig) -> Result<Box<dyn Ask>, String> {
    Err("this apflow was built without calls over HTTP".to_owned())
}

/// A hook that asks somebody outside.
struct Asking {
    name: String,
    on: On,
    on_error: OnError,
    only: Match,
    timeout: Duration,
    asked: Box<dyn Ask>,
    /// As many at a time as programs of tasks.
    places: Semaphore,
}

impl Asking {
    fn new(spec: &HookSpec, config: &ExecutorsConfig) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", named(spec));
        let timeout = Duration::try_from_secs_f64(spec.timeout)
            .ok()
            .filter(|time| !time.is_zero() && spec.timeout <= MAX_TIMEOUT)
            .ok_or_else(|| {
                wrong(format!("its timeout must be above 0 and at most {MAX_TIMEOUT} seconds"))
            })?;
        let asked = match &spec.run {
            Run::Command(command) => program(command, config),
            Run::Webhook(webhook) => web(webhook, config),
        }
        .map_err(wrong)?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            name: spec.name.clone().unwrap_or_else(|| spec.on.to_string()),
            on: spec.on.clone(),
            on_error: spec.on_error,
            only: spec.only.clone(),
            timeout,
            asked,
            places: Semaphore::new(2 * cores),
        })
    }

    /// The answer; null if there was none.
    async fn ask(&self, mut about: Value) -> Result<Value, String> {
        about["hook"] = json!(self.name);
        about["on"] = json!(self.on.to_string());
        let about = about.to_string();
        if about.len() > MAX_SENT {
            return Err(format!("it would have to be told more than {MAX_SENT} bytes"));
        }
        // Never closed, so there is always a place in the end.
        let _place = self.places.acquire().await.ok();
        let answer = self.asked.ask(&about, self.timeout).await?;
        if answer.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer).map_err(|_| "its answer is not JSON".to_owned())
    }

    /// Asks before a task, and does what the answer says.
    async fn before(&self, task: Attempted<'_>, inputs: &mut Map<String, Value>) -> Verdict {
        let mut about = about(task);
        about["inputs"] = Value::Object(inputs.clone());
        let read = |answer: Value| read(answer, inputs);
        match self.ask(about).await.and_then(read) {
            Ok(verdict) => verdict,
            Err(why) => {
                tracing::warn!(hook = %self.name, task = %task.task, %why, "a hook failed");
                match self.on_error {
                    OnError::Open => Verdict::Run,
                    OnError::Closed => {
                        Verdict::Refuse(format!("the hook `{}` failed: {why}", self.name))
                    }
                }
            }
        }
    }

    /// Tells after something, and only logs what goes wrong.
    async fn tell(&self, about: Value) {
        if let Err(why) = self.ask(about).await {
            tracing::warn!(hook = %self.name, %why, "a hook failed");
        }
    }

    async fn after(&self, task: Attempted<'_>, inputs: &Map<String, Value>, ended: &Ended) {
        let mut about = about(task);
        about["inputs"] = Value::Object(inputs.clone());
        match ended {
            Ended::Completed { result } => {
                about["status"] = json!("completed");
                about["result"] = result.clone();
            }
            Ended::Failed { failure, retry_after, .. } => {
                about["status"] = json!("failed");
                about["error"] = json!(failure.message);
                about["again"] = json!(retry_after.is_some());
            }
            _ => return,
        }
        self.tell(about).await;
    }
}

fn about(task: Attempted<'_>) -> Value {
    let Attempted { task, tree, attempt, definition, .. } = task;
    json!({
        "task": {
            "id": task, "tree_id": tree, "name": definition.name, "user_id": definition.user_id,
            "executor": definition.executor(), "attempt": attempt,
        },
    })
}

/// What an answer before a task means.
fn read(answer: Value, inputs: &mut Map<String, Value>) -> Result<Verdict, String> {
    let answer = match answer {
        Value::Null => return Ok(Verdict::Run),
        Value::Object(answer) => answer,
        _ => return Err("its answer is no object".to_owned()),
    };
    let mut said = answer.into_iter();
    match (said.next(), said.next()) {
        (None, _) => Ok(Verdict::Run),
        (Some((key, value)), None) => match (key.as_str(), value) {
            ("inputs", Value::Object(new)) => {
                *inputs = new;
                Ok(Verdict::Run)
            }
            ("inputs", _) => Err("the `inputs` of its answer are no object".to_owned()),
            ("answer", value) => Ok(Verdict::Answer(value)),
            ("refuse", Value::String(why)) => Ok(Verdict::Refuse(why)),
            ("refuse", _) => Err("the `refuse` of its answer is no text".to_owned()),
            _ => Err("its answer has another key than inputs, answer or refuse".to_owned()),
        },
        _ => Err("its answer has more than one of inputs, answer and refuse".to_owned()),
    }
}

#[async_trait]
impl Hook for Asking {
    fn name(&self) -> &str {
        &self.name
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    async fn before_task(&self, task: Attempted<'_>, inputs: &mut Map<String, Value>) -> Verdict {
        if self.on == On::Pre && !task.demo && self.only.covers(task) {
            return self.before(task, inputs).await;
        }
        Verdict::Run
    }

    async fn after_task(&self, task: Attempted<'_>, inputs: &Map<String, Value>, ended: &Ended) {
        let completed = matches!(ended, Ended::Completed { .. });
        if self.on == On::Post && completed && !task.demo && self.only.covers(task) {
            self.after(task, inputs, ended).await;
        }
    }

    async fn before_executor(
        &self,
        executor: &str,
        task: Attempted<'_>,
        inputs: &mut Map<String, Value>,
    ) -> Verdict {
        match &self.on {
            On::ExecutorPre(id) if id == executor && self.only.covers(task) => {
                self.before(task, inputs).await
            }
            _ => Verdict::Run,
        }
    }

    async fn after_executor(
        &self,
        executor: &str,
        task: Attempted<'_>,
        inputs: &Map<String, Value>,
        ended: &Ended,
    ) {
        if let On::ExecutorPost(id) = &self.on
            && id == executor
            && self.only.covers(task)
        {
            self.after(task, inputs, ended).await;
        }
    }

    async fn tree_created(&self, tree: &TreeId) {
        if self.on == On::TreeCreated {
            self.tell(json!({"tree_id": tree})).await;
        }
    }

    async fn tree_started(&self, tree: &TreeId) {
        if self.on == On::TreeStarted {
            self.tell(json!({"tree_id": tree})).await;
        }
    }

    async fn tree_finished(&self, tree: &TreeId, outcome: Outcome) {
        let wanted = match outcome {
            Outcome::Completed => On::TreeCompleted,
            _ => On::TreeFailed,
        };
        if self.on == wanted {
            self.tell(json!({"tree_id": tree, "outcome": outcome.to_string()})).await;
        }
    }
}

/// What a check of inbound webhooks answers.
#[derive(Deserialize)]
struct Verified {
    valid: bool,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[async_trait]
impl WebhookVerify for Asking {
    async fn verify(&self, request: &WebhookRequest<'_>) -> webhook::Verdict {
        let (signature, timestamp) = match request.signature {
            Signature::None => (None, None),
            Signature::Own { signature, timestamp }
            | Signature::Standard { signatures: signature, timestamp, .. } => {
                (Some(signature), timestamp.as_ref())
            }
        };
        let about = json!({
            "task_id": request.task,
            "signature": signature,
            "timestamp": timestamp,
            "body": String::from_utf8_lossy(request.body),
            "client_ip": request.client_ip,
        });
        let read = |answer| {
            serde_json::from_value::<Verified>(answer)
                .map_err(|_| "its answer has no `valid` that is true or false".to_owned())
        };
        match self.ask(about).await.and_then(read) {
            Ok(Verified { valid, user_id, error }) => webhook::Verdict { valid, user_id, error },
            Err(why) => {
                tracing::warn!(hook = %self.name, %why, "a hook failed");
                let error = Some(format!("the hook `{}` failed: {why}", self.name));
                webhook::Verdict { valid: false, user_id: None, error }
            }
        }
    }
}
