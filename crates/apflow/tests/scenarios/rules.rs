//! An executor whose tasks are written as rules, and a log of what it did outside the engine.
//!
//! A rule is a map whose name is what to do: `return`, `fail`, `fail_first`, `kv.add`, `iterate`, …
//! Texts in double braces are expressions over `inputs` (results of needs, by key), `vars`, `data`,
//! `cycle` and `attempt`.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use apflow::{
    core::{
        channel::Channel,
        expression::{Expression, Template},
        question::Question,
        submit::TaskSpec,
    },
    prelude::*,
};
use serde_json::{Map, Value, json};
use tokio::sync::Barrier;

const NAMES: [&str; 5] = ["inputs", "vars", "data", "cycle", "attempt"];

/// What happened, seen from outside the engine.
#[derive(Default)]
pub(super) struct Log {
    /// Attempts that began and attempts that ended with a result, by key, in their order.
    moments: Mutex<Vec<(String, bool)>>,
    notes: Mutex<BTreeMap<String, Vec<Value>>>,
    meetings: Mutex<HashMap<String, Arc<Barrier>>>,
}

impl Log {
    fn moment(&self, task: &str, ended: bool) {
        self.moments.lock().expect("whole").push((task.to_owned(), ended));
    }

    /// How often executors of this task ended with a result.
    pub(super) fn runs(&self, task: &str) -> usize {
        let moments = self.moments.lock().expect("whole");
        moments.iter().filter(|(name, ended)| name == task && *ended).count()
    }

    /// Whether the first task ended before the second one began, each for the last time.
    pub(super) fn before(&self, first: &str, second: &str) -> bool {
        let moments = self.moments.lock().expect("whole");
        let last = |task: &str, end: bool| {
            moments.iter().rposition(|(name, ended)| name == task && *ended == end)
        };
        matches!((last(first, true), last(second, false)), (Some(end), Some(begin)) if end < begin)
    }

    /// What was noted under a name.
    pub(super) fn notes(&self, name: &str) -> Vec<Value> {
        self.notes.lock().expect("whole").get(name).cloned().unwrap_or_default()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.moments.lock().expect("whole").clear();
        self.notes.lock().expect("whole").clear();
    }
}

/// The executor `rules`.
pub(super) struct Rules {
    manifest: Manifest,
    log: Arc<Log>,
}

/// What a rule can see.
struct Scope<'a> {
    inputs: Value,
    vars: Map<String, Value>,
    context: &'a Context,
    channel: Channel,
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<Option<Value>, ExecuteError>> + Send + 'a>>;

impl Rules {
    pub(super) fn new(log: Arc<Log>) -> Self {
        let mut manifest = Manifest::new("rules", "Does what its rules say.");
        manifest.aggregates = true;
        manifest.supports_checkpoint = true;
        Self { manifest, log }
    }

    fn all<'a>(&'a self, rules: &'a [Value], scope: &'a mut Scope<'_>) -> Step<'a> {
        Box::pin(async move {
            for rule in rules {
                if let Some(result) = self.one(rule, scope).await? {
                    return Ok(Some(result));
                }
            }
            Ok(None)
        })
    }

    async fn one(
        &self,
        rule: &Value,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Value>, ExecuteError> {
        let wrong = || ExecuteError::permanent(format!("no such rule: {rule}"));
        let rule = rule.as_object().ok_or_else(wrong)?;
        let (verb, said) = rule
            .iter()
            .find(|(key, _)| !["as", "do", "then", "else", "ttl_ms"].contains(&key.as_str()))
            .ok_or_else(wrong)?;
        let block = |name: &str| rule.get(name).and_then(Value::as_array).map_or(&[][..], |it| it);
        let context = scope.context;
        let mut came = None;
        match verb.as_str() {
            "return" => return Ok(Some(scope.fill(said)?)),
            "fail" => return Err(ExecuteError::permanent(words(&scope.fill(said)?))),
            "fail_first" => {
                if u64::from(context.attempt) <= said.as_u64().unwrap_or(1) {
                    return Err(ExecuteError::transient("not yet"));
                }
            }
            "sleep" => tokio::time::sleep(millis(said)).await,
            "meet" => self.meet(&words(&said["at"]), number(&said["count"])).await?,
            "note" => {
                for (name, value) in said.as_object().ok_or_else(wrong)? {
                    let value = scope.fill(value)?;
                    let mut notes = self.log.notes.lock().expect("whole");
                    notes.entry(name.clone()).or_default().push(value);
                }
            }
            "let" => {
                for (name, value) in said.as_object().ok_or_else(wrong)? {
                    let value = scope.fill(value)?;
                    scope.vars.insert(name.clone(), value);
                }
            }
            "if" => {
                let condition = Expression::compile_with(&words(said), &NAMES);
                let condition = condition.map_err(|why| ExecuteError::permanent(why.detail))?;
                let holds = condition.is_true(&scope.names()).map_err(|why| failed(&why))?;
                return self.all(block(if holds { "then" } else { "else" }), scope).await;
            }
            "repeat" => {
                for _ in 0..number(said) {
                    if let Some(result) = self.all(block("do"), scope).await? {
                        return Ok(Some(result));
                    }
                }
            }
            "try" => {
                let tried = self.all(said.as_array().map_or(&[][..], |it| it), scope).await;
                came = Some(tried.err().map_or(Value::Null, |error| error.to_string().into()));
            }
            "iterate" => context.iterate(scope.fill(said)?)?,
            "jump" => context.jump(words(said), Value::Null)?,
            "finish" => context.finish(),
            "cancel" => context.cancel_run(words(said)),
            "spawn" => context.spawn(scope.tasks(said)?)?,
            "gather" => came = Some(scope.gather(said)?),
            "ask" => came = Some(ask(context, &scope.fill(said)?)?),
            "checkpoint" => context.checkpoint(scope.fill(said)?).await?,
            "resumed" => came = Some(context.given.checkpoint.clone().unwrap_or_default()),
            "snapshot" => {
                let note = scope.fill(&said["note"])?.as_object().cloned().unwrap_or_default();
                let deferred = said["deferred"] == json!(true);
                context.snapshot(&words(&scope.fill(&said["name"])?), note, deferred).await?;
            }
            kept => came = self.kept(kept, said, rule, scope).await?,
        }
        if let (Some(name), Some(value)) = (rule.get("as").and_then(Value::as_str), came) {
            scope.vars.insert(name.to_owned(), value);
        }
        Ok(None)
    }

    /// The rules of the channel.
    async fn kept(
        &self,
        verb: &str,
        said: &Value,
        rule: &Map<String, Value>,
        scope: &mut Scope<'_>,
    ) -> Result<Option<Value>, ExecuteError> {
        if verb == "kv.get" {
            return Ok(Some(scope.channel.get(&words(said)).await?.unwrap_or_default()));
        }
        if verb == "kv.lock" {
            let (held, patience) = (Duration::from_secs(20), Duration::from_secs(20));
            let lock = scope.channel.lock(&words(said), held, patience).await?;
            let outside = std::mem::replace(&mut scope.channel, lock.channel());
            let rules = rule.get("do").and_then(Value::as_array).map_or(&[][..], |it| it);
            let done = self.all(rules, scope).await;
            scope.channel = outside;
            lock.release().await?;
            done?;
            return Ok(None);
        }
        for (key, value) in said.as_object().into_iter().flatten() {
            let value = scope.fill(value)?;
            match (verb, value) {
                ("kv.set", value) => match rule.get("ttl_ms") {
                    Some(ttl) => {
                        scope.channel.set_for(key, value, millis(ttl)).await?;
                    }
                    None => {
                        scope.channel.set(key, value).await?;
                    }
                },
                ("kv.add", Value::Number(amount)) => {
                    scope.channel.add(key, amount).await?;
                }
                ("kv.append", value) => {
                    scope.channel.append(key, value).await?;
                }
                _ => return Err(ExecuteError::permanent(format!("no such rule: {verb}"))),
            }
        }
        Ok(None)
    }

    /// Goes on when so many are here; that many tasks are at work at the same time then.
    async fn meet(&self, at: &str, count: usize) -> Result<(), ExecuteError> {
        let meeting = {
            let mut meetings = self.log.meetings.lock().expect("whole");
            let new = || Arc::new(Barrier::new(count));
            Arc::clone(meetings.entry(at.to_owned()).or_insert_with(new))
        };
        let all_here = tokio::time::timeout(Duration::from_secs(20), meeting.wait()).await;
        all_here.map(drop).map_err(|_| ExecuteError::permanent(format!("nobody else came to {at}")))
    }
}

#[async_trait::async_trait]
impl Executor for Rules {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        self.log.moment(&context.name, false);
        let key = |id: &str| id.rsplit_once('/').map_or(id, |(_, key)| key).to_owned();
        let inputs = inputs.into_iter().map(|(id, value)| (key(&id), value)).collect();
        let channel = context.channel();
        let mut scope = Scope { inputs: Value::Object(inputs), vars: Map::new(), context, channel };
        let rules = context.params.get("do").and_then(Value::as_array).cloned();
        let result = self.all(&rules.unwrap_or_default(), &mut scope).await?;
        self.log.moment(&context.name, true);
        Ok(result.unwrap_or_default())
    }
}

impl Scope<'_> {
    fn names(&self) -> Value {
        let given = &self.context.given;
        json!({
            "inputs": self.inputs,
            "vars": self.vars,
            "data": given.cycle_data.as_deref().unwrap_or(&Value::Null),
            // People count from 1.
            "cycle": given.cycle + 1,
            "attempt": self.context.attempt,
        })
    }

    /// A value whose texts are filled in.
    fn fill(&self, value: &Value) -> Result<Value, ExecuteError> {
        Ok(match value {
            Value::String(text) => {
                let template = Template::compile_with(text, &NAMES);
                let template = template.map_err(|why| ExecuteError::permanent(why.detail))?;
                template.eval(&self.names()).map_err(|why| failed(&why))?
            }
            Value::Array(items) => {
                items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?
            }
            Value::Object(entries) => {
                let filled = entries.iter().map(|(key, item)| Ok((key.clone(), self.fill(item)?)));
                Value::Object(filled.collect::<Result<_, ExecuteError>>()?)
            }
            plain => plain.clone(),
        })
    }

    /// Tasks to bring into being; of what is said of them, only `inputs` is filled in now.
    fn tasks(&self, said: &Value) -> Result<Vec<TaskSpec>, ExecuteError> {
        let mut said = said.clone();
        for task in said.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(inputs) = task.get_mut("inputs") {
                *inputs = self.fill(inputs)?;
            }
        }
        Ok(specs(&said, ""))
    }

    fn gather(&self, said: &Value) -> Result<Value, ExecuteError> {
        let gathered = self.context.gather(self.tasks(said)?)?;
        let all = gathered.iter().map(|task| {
            let result = task.result.as_deref();
            let told =
                json!({ "state": task.state.as_str(), "result": result, "error": task.error });
            (task.key.clone(), told)
        });
        Ok(Value::Object(all.collect()))
    }
}

fn ask(context: &Context, said: &Value) -> Result<Value, ExecuteError> {
    let mut question = Question::of(said).map_err(ExecuteError::permanent)?;
    question.key = said["key"].as_str().map(str::to_owned);
    question.timeout = said.get("timeout_ms").map(millis);
    if let Some(then) = said.get("on_timeout") {
        let then = serde_json::from_value(then.clone());
        question.on_timeout = then.map_err(|why| ExecuteError::permanent(why.to_string()))?;
    }
    let answer = context.ask(question)?;
    Ok(json!({ "reply": answer.reply.to_value(), "by": answer.by }))
}

/// The tasks of a map of keys, each with what is said of it.
pub(super) fn specs(tasks: &Value, prefix: &str) -> Vec<TaskSpec> {
    let empty = Map::new();
    let named = |key: &str| format!("{prefix}{key}");
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(words).map(|key| named(&key)).collect()
    };
    let mut specs = Vec::new();
    for (key, said) in tasks.as_object().unwrap_or(&empty) {
        let count = said.get("count").map_or(1, number);
        for copy in 0..count {
            let key = if count == 1 { key.clone() } else { format!("{key}{copy}") };
            let mut task = task(key.as_str()).id(named(&key)).depends_on(list(&said["after"]));
            for optional in list(&said["after_optional"]) {
                task = task.optional(optional);
            }
            task = match said.get("group") {
                Some(policy) => task.executor("group").param("policy", policy.clone()),
                None => task.executor("rules").param("do", said["do"].clone()),
            };
            if let Some(inputs) = said["inputs"].as_object() {
                task = task.inputs(inputs.clone());
            }
            if let Some(parent) = said["in"].as_str() {
                task = task.parent(named(parent));
            }
            if let Some(most) = said.get("max_cycles") {
                task = task.max_cycles(u32::try_from(number(most)).expect("a small number"));
            }
            if let Some(most) = said.get("max_attempts") {
                let most = u32::try_from(number(most)).expect("a small number");
                task = task.max_attempts(most).backoff("fixed", Duration::from_millis(100));
            }
            if said["on_jump"] == json!(true) {
                task = task.on_jump();
            }
            specs.push(task.build());
        }
    }
    specs
}

fn failed(why: &impl ToString) -> ExecuteError {
    ExecuteError::permanent(why.to_string())
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|it| usize::try_from(it).ok()).expect("a whole number")
}

fn millis(value: &Value) -> Duration {
    Duration::from_millis(number(value) as u64)
}
