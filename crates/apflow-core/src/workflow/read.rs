//! From the tree of a file to a [`Workflow`], with every problem told at its line.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    Keyed, MAX_KEY_CHARS, Workflow,
    node::{Entry, Node, Place, Tree, to_map},
};
use crate::{
    code::Code,
    flow::FlowControl,
    problem::{Problem, Problems, nearest, shortened},
    submit::{
        JITTER, NO_RETRY_ON, Reading, Reference, TaskSpec, described, jitter, no_retry_on,
        read_tasks,
    },
    task::{Begins, Join, LoopEdge, OnFailure, Priority, StructureOrder},
};

/// The fields of a file.
pub(super) const FILE_FIELDS: &[&str] = &[
    "name",
    "description",
    "inputs",
    "on_failure",
    "structure_order",
    "timeout",
    "max_steps",
    "max_spawned",
    "max_depth",
    "user_id",
    "tasks",
];

/// The fields of a task in a file; in a list it has a `key` besides.
pub(super) const TASK_FIELDS: &[&str] = &[
    "name",
    "executor",
    "workflow",
    "with",
    "outputs",
    "map",
    "saga",
    "needs",
    "join",
    "when",
    "loop",
    "max_cycles",
    "start",
    "inputs",
    "params",
    "schemas",
    "parent",
    "priority",
    "timeout",
    "queue_timeout",
    "heartbeat_timeout",
    "deadline",
    "retry",
    "schedule",
    "user_id",
    "placement",
    "token_budget",
    "cost_policy",
    "limits",
    "rate",
    "breaker",
    "extra",
];

const NEED_FIELDS: &[&str] = &["task", "optional", "when", "as"];
const LOOP_FIELDS: &[&str] = &["to", "while", "max"];
const RETRY_FIELDS: &[&str] = &[
    "max_attempts",
    "max_retries",
    "backoff",
    "base",
    "max",
    "factor",
    "jitter",
    "not_on",
    "deadline",
];

/// Reads the whole file.
pub(super) fn workflow(file: &Node) -> Result<Workflow, Problems> {
    let mut reader = Reader { problems: Vec::new(), task: None };
    let workflow = match &file.tree {
        Tree::Map(entries) => reader.file(entries),
        Tree::List(_) => return plain(&file.to_value()),
        _ => {
            return Err(Problems::one(
                Problem::new(Code::WorkflowFile, file.at.after("the file holds no tasks"))
                    .expecting("a map with `tasks`, or a list of tasks as /tasks takes it")
                    .found(described(&file.to_value())),
            ));
        }
    };
    Problems::refuse(reader.problems)?;
    Ok(workflow)
}

/// A list of tasks in the shape of `/tasks`; ids and names serve as keys.
fn plain(value: &Value) -> Result<Workflow, Problems> {
    let (specs, warnings) = read_tasks(value, &Reading::Strict)?;
    let mut uses: HashMap<String, usize> = HashMap::new();
    for spec in &specs {
        *uses.entry(spec.id.clone().unwrap_or_else(|| spec.name.clone())).or_default() += 1;
    }
    let tasks = specs
        .into_iter()
        .enumerate()
        .map(|(index, spec)| {
            let key = match &spec.id {
                Some(id) => id.clone(),
                None if uses.get(&spec.name) == Some(&1) => spec.name.clone(),
                None => format!("{}#{index}", spec.name),
            };
            Keyed { key, spec }
        })
        .collect();
    Ok(Workflow { tasks, warnings, plain: true, ..Workflow::default() })
}

pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
    task: Option<String>,
}

impl Reader {
    pub(super) fn add(&mut self, at: Place, field: &str, mut problem: Problem) {
        problem.reason = at.after(&problem.reason);
        problem.detail.clone_from(&problem.reason);
        problem.task = problem.task.or_else(|| self.task.clone());
        self.problems.push(problem.in_field(field));
    }

    pub(super) fn code(&self) -> Code {
        if self.task.is_some() { Code::InvalidTask } else { Code::WorkflowFile }
    }

    pub(super) fn refuse(&mut self, node: &Node, field: &str, expected: &str) {
        let found = described(&node.to_value());
        let reason = format!("`{field}` is {}", shortened(&found));
        let problem = Problem::new(self.code(), reason).expecting(expected).found(found);
        self.add(node.at, field, problem);
    }

    pub(super) fn read<T>(
        &mut self,
        node: &Node,
        field: &str,
        expected: &str,
        read: impl FnOnce(&Tree) -> Option<T>,
    ) -> Option<T> {
        let value = read(&node.tree);
        if value.is_none() {
            self.refuse(node, field, expected);
        }
        value
    }

    pub(super) fn text(&mut self, node: &Node, field: &str) -> Option<String> {
        self.read(node, field, "a text", |tree| match tree {
            Tree::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    fn map(&mut self, node: &Node, field: &str) -> Map<String, Value> {
        let read = self.read(node, field, "a map", |tree| match tree {
            Tree::Map(entries) => Some(to_map(entries)),
            _ => None,
        });
        read.unwrap_or_default()
    }

    pub(super) fn whole(&mut self, node: &Node, field: &str) -> Option<i64> {
        self.read(node, field, "a whole number", |tree| match tree {
            Tree::Number(number) => number.as_i64(),
            _ => None,
        })
    }

    pub(super) fn seconds(&mut self, node: &Node, field: &str) -> Option<f64> {
        self.read(node, field, "a time like 30s, 10m or 1h30m, or a number of seconds", |tree| {
            match tree {
                Tree::Number(number) => number.as_f64(),
                Tree::Text(text) => seconds(text),
                _ => None,
            }
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        field: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        if let Tree::Text(text) = &node.tree {
            let found = known.iter().find(|(word, _)| word == text);
            if let Some((_, value)) = found {
                return Some(*value);
            }
            let mut problem =
                Problem::new(self.code(), format!("`{}` is no {field}", shortened(text)))
                    .expecting(format!("one of {}", words.join(", ")))
                    .found(text.clone());
            if let Some(near) = nearest(text, words) {
                problem = problem.hinting(format!("did you mean `{near}`?"));
            }
            self.add(node.at, field, problem);
            return None;
        }
        self.refuse(node, field, &format!("one of {}", words.join(", ")));
        None
    }

    pub(super) fn unknown(&mut self, entry: &Entry, of: &str, known: &[&str]) {
        let mut problem = Problem::new(
            self.code(),
            format!("`{}` is not a field of {of}", shortened(&entry.key)),
        )
        .expecting(format!("one of {}", known.join(", ")))
        .found(shortened(&entry.key));
        if let Some(near) = nearest(&entry.key, known.iter().copied()) {
            problem = problem.hinting(format!("did you mean `{near}`?"));
        }
        self.add(entry.at, &shortened(&entry.key), problem);
    }

    fn file(&mut self, entries: &[Entry]) -> Workflow {
        let mut workflow = Workflow::default();
        let mut keys = Vec::new();
        let mut has_tasks = false;
        let mut owner = None;
        for entry in entries {
            let (field, node) = (entry.key.as_str(), &entry.node);
            match field {
                "tasks" => {
                    has_tasks = true;
                    (workflow.tasks, keys) = self.tasks(node);
                }
                _ if node.is_null() && FILE_FIELDS.contains(&field) => {}
                "name" => workflow.name = self.text(node, field),
                "description" => workflow.description = self.text(node, field),
                "inputs" => workflow.inputs = self.map(node, field),
                "user_id" => owner = self.text(node, field),
                "timeout" => workflow.options.timeout_seconds = self.seconds(node, field),
                "max_steps" => workflow.options.max_steps = self.count(node, field),
                "max_spawned" => workflow.options.max_spawned = self.count(node, field),
                "max_depth" => workflow.options.max_depth = self.count(node, field),
                "on_failure" => {
                    let all = [OnFailure::Continue, OnFailure::FailFast, OnFailure::SkipDependents];
                    let words = all.map(|each| (each.as_str(), each));
                    workflow.options.on_failure =
                        self.word(node, field, &words).unwrap_or_default();
                }
                "structure_order" => {
                    let words = [("soft", StructureOrder::Soft), ("none", StructureOrder::None)];
                    workflow.options.structure_order =
                        self.word(node, field, &words).unwrap_or_default();
                }
                _ => self.unknown(entry, "a workflow file", FILE_FIELDS),
            }
        }
        if !has_tasks {
            let problem = Problem::new(Code::WorkflowFile, "the file has no `tasks`")
                .expecting("`tasks:` with at least one task under it");
            self.add(Place::default(), "tasks", problem);
        }
        if owner.is_some() {
            for task in &mut workflow.tasks {
                task.spec.user_id = task.spec.user_id.take().or_else(|| owner.clone());
            }
        }
        self.references(&workflow.tasks, &keys);
        workflow
    }

    /// Tasks with, for each, its references and where they stand.
    fn tasks(&mut self, node: &Node) -> (Vec<Keyed>, Vec<Vec<Mention>>) {
        let mut seen: HashSet<String> = HashSet::new();
        let mut tasks = Vec::new();
        let mut mentions = Vec::new();
        let mut add = |reader: &mut Self, key: &str, at: Place, node: &Node, in_list: bool| {
            reader.key(key, at, &mut seen);
            reader.task = Some(shortened(key));
            let mut mentioned = Vec::new();
            let spec = reader.task(key, node, in_list, &mut mentioned);
            reader.task = None;
            tasks.push(Keyed { key: key.to_owned(), spec });
            mentions.push(mentioned);
        };
        match &node.tree {
            Tree::Map(entries) => {
                for entry in entries {
                    add(self, &entry.key, entry.at, &entry.node, false);
                }
            }
            Tree::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let entries =
                        if let Tree::Map(entries) = &item.tree { &entries[..] } else { &[] };
                    let key = entries.iter().find(|entry| entry.key == "key");
                    let key = key.map(|entry| (&entry.node.tree, entry.node.at));
                    if let Some((Tree::Text(key), at)) = key {
                        add(self, key, at, item, true);
                        continue;
                    }
                    let reason = "a task in a list has a `key` that others call it by";
                    let problem = Problem::new(Code::WorkflowFile, reason)
                        .of_task(format!("task at index {index}"))
                        .expecting("`key:` with a text")
                        .found(described(&item.to_value()));
                    self.add(item.at, "key", problem);
                }
            }
            _ => {
                self.refuse(node, "tasks", "a map from keys to tasks, or a list of tasks");
                return (tasks, mentions);
            }
        }
        if tasks.is_empty() && self.problems.is_empty() {
            let problem = Problem::new(Code::WorkflowFile, "the file has no task")
                .expecting("at least one task");
            self.add(node.at, "tasks", problem);
        }
        (tasks, mentions)
    }

    fn key(&mut self, key: &str, at: Place, seen: &mut HashSet<String>) {
        let long = key.chars().count();
        let reason = if long == 0 || long > MAX_KEY_CHARS || key.chars().any(char::is_control) {
            format!("`{}` cannot be a key", shortened(key))
        } else if !seen.insert(key.to_owned()) {
            format!("the key `{}` occurs twice", shortened(key))
        } else {
            return;
        };
        let expected =
            format!("a key of 1 to {MAX_KEY_CHARS} characters that no other task of the file has");
        let problem = Problem::new(Code::WorkflowFile, reason).expecting(expected).found(key);
        self.add(at, "key", problem);
    }

    fn task(
        &mut self,
        key: &str,
        node: &Node,
        in_list: bool,
        mentioned: &mut Vec<Mention>,
    ) -> TaskSpec {
        let mut spec = TaskSpec::new(key);
        let Tree::Map(entries) = &node.tree else {
            let found = described(&node.to_value());
            let problem = Problem::new(Code::InvalidTask, "the task is no map")
                .expecting("fields like `executor`, `needs` and `inputs`")
                .found(found);
            self.add(node.at, "tasks", problem);
            return spec;
        };
        let mut executor = None;
        // What the short forms of patterns mean; `params` may come before or after them.
        let mut patterned = Map::new();
        for entry in entries {
            let (field, node) = (entry.key.as_str(), &entry.node);
            match field {
                "key" if in_list => {}
                _ if node.is_null() && TASK_FIELDS.contains(&field) => {}
                "name" => spec.name = self.text(node, field).unwrap_or_else(|| key.to_owned()),
                "executor" => executor = self.text(node, field).map(|id| (id, node.at)),
                "workflow" | "map" | "saga" => {
                    let id = crate::pattern::write(field, node.to_value(), &mut patterned);
                    executor = executor.or(Some((id.to_owned(), node.at)));
                }
                "with" | "outputs" => {
                    patterned.insert(field.to_owned(), Value::Object(self.map(node, field)));
                }
                "needs" => spec.dependencies = self.needs(node, mentioned),
                "join" => {
                    let words = [("all", Join::All), ("any", Join::Any)];
                    spec.join = self.word(node, field, &words).unwrap_or_default();
                }
                "when" => spec.when = self.text(node, field),
                "loop" => spec.loop_edge = self.loop_edge(node, mentioned),
                "max_cycles" => spec.max_cycles = self.count(node, field),
                "start" => {
                    let words =
                        [Begins::WhenReady, Begins::OnJump].map(|each| (each.as_str(), each));
                    spec.start = self.word(node, field, &words).unwrap_or_default();
                }
                "inputs" => spec.inputs = self.map(node, field),
                "params" => spec.params = self.map(node, field),
                "schemas" => spec.schemas = self.map(node, field),
                "parent" => {
                    spec.parent = self.text(node, field);
                    mentioned.extend(spec.parent.clone().map(|to| Mention {
                        to,
                        field: "parent".to_owned(),
                        at: node.at,
                    }));
                }
                "priority" => spec.priority = self.priority(node),
                "timeout" => spec.timeout_seconds = self.seconds(node, field),
                "queue_timeout" => {
                    spec.timeouts.queue_timeout_seconds = self.seconds(node, field);
                }
                "heartbeat_timeout" => {
                    spec.timeouts.heartbeat_timeout_seconds = self.seconds(node, field);
                }
                "deadline" => spec.timeouts.deadline_seconds = self.seconds(node, field),
                "retry" => self.retry(node, &mut spec),
                "schedule" => spec.schedule = self.schedule(node),
                "user_id" => spec.user_id = self.text(node, field),
                "placement" => spec.placement_constraints = Some(node.to_value()),
                "token_budget" => spec.governance.token_budget = self.whole(node, field),
                "cost_policy" => spec.governance.cost_policy = self.text(node, field),
                "limits" | "rate" | "breaker" => self.flow(node, field, &mut spec),
                "extra" => spec.extra = self.map(node, field),
                _ => self.unknown(entry, "a task", TASK_FIELDS),
            }
        }
        spec.params.extend(patterned);
        if let Some((id, at)) = executor {
            let said = spec.params.insert("executor_id".to_owned(), Value::String(id.clone()));
            if said.is_some_and(|said| said != id.as_str()) {
                let reason = "`executor` and `params.executor_id` name two executors";
                let problem = Problem::new(Code::InvalidTask, reason).expecting("one of them");
                self.add(at, "executor", problem.found(id));
            }
        }
        spec
    }

    /// The edge a task goes back by.
    fn loop_edge(&mut self, node: &Node, mentioned: &mut Vec<Mention>) -> Option<LoopEdge> {
        const EXPECTED: &str = "a map like {to: draft, while: not result.good, max: 5}";
        let Tree::Map(entries) = &node.tree else {
            self.refuse(node, "loop", EXPECTED);
            return None;
        };
        let mut edge = LoopEdge { to: None, condition: String::new(), max: None };
        for entry in entries {
            let node = &entry.node;
            match entry.key.as_str() {
                _ if node.is_null() && LOOP_FIELDS.contains(&entry.key.as_str()) => {}
                "to" => {
                    edge.to = self.text(node, "loop.to");
                    let field = "loop.to".to_owned();
                    mentioned.extend(edge.to.clone().map(|to| Mention { to, field, at: node.at }));
                }
                "while" => edge.condition = self.text(node, "loop.while").unwrap_or_default(),
                "max" => edge.max = self.count(node, "loop.max"),
                _ => self.unknown(entry, "a loop", LOOP_FIELDS),
            }
        }
        if !entries.iter().any(|entry| entry.key == "while") {
            self.refuse(node, "loop", EXPECTED);
        }
        Some(edge)
    }

    fn count(&mut self, node: &Node, field: &str) -> Option<u32> {
        self.read(node, field, "a whole number from 0 on", |tree| match tree {
            Tree::Number(number) => number.as_u64()?.try_into().ok(),
            _ => None,
        })
    }

    /// Who shares slots and a pace with it, and when its executor is given a rest.
    fn flow(&mut self, node: &Node, field: &str, spec: &mut TaskSpec) {
        let value = match node.to_value() {
            Value::Bool(true) if field == "breaker" => serde_json::json!({}),
            Value::Bool(false) if field == "breaker" => Value::Null,
            value => value,
        };
        let read: Result<FlowControl, _> =
            serde_json::from_value(serde_json::json!({ field: value }));
        match (read, field) {
            (Ok(control), "limits") => spec.flow.limits = control.limits,
            (Ok(control), "rate") => spec.flow.rate = control.rate,
            (Ok(control), _) => spec.flow.breaker = control.breaker,
            (Err(error), _) => {
                let problem = Problem::new(Code::InvalidFlow, format!("{field}: {error}"))
                    .expecting(match field {
                        "limits" => "a list like [{key: api, max: 4}]",
                        "rate" => "a list like [{key: api, limit: 60, per: 1m}]",
                        _ => "a map like {threshold: 5, reset: 60s}, or true",
                    })
                    .found(described(&node.to_value()));
                self.add(node.at, field, problem);
            }
        }
    }

    fn priority(&mut self, node: &Node) -> Priority {
        const WORDS: [(&str, Priority); 4] = [
            ("urgent", Priority::URGENT),
            ("high", Priority::HIGH),
            ("normal", Priority::NORMAL),
            ("low", Priority::LOW),
        ];
        match &node.tree {
            Tree::Text(_) => self.word(node, "priority", &WORDS).unwrap_or_default(),
            Tree::Number(number) => {
                let priority = number.as_i64().map(Priority::try_from);
                if let Some(Ok(priority)) = priority {
                    return priority;
                }
                let reason = priority
                    .and_then(Result::err)
                    .unwrap_or_else(|| format!("{number} is no whole number"));
                let problem = Problem::new(Code::InvalidTask, reason)
                    .expecting("0 to 3, or urgent, high, normal, low")
                    .found(number.to_string());
                self.add(node.at, "priority", problem);
                Priority::NORMAL
            }
            _ => {
                self.refuse(node, "priority", "0 to 3, or urgent, high, normal, low");
                Priority::NORMAL
            }
        }
    }

    fn needs(&mut self, node: &Node, mentioned: &mut Vec<Mention>) -> Vec<Reference> {
        const EXPECTED: &str = "a key, or a list of keys and of `{task: KEY, optional: true}`";
        let one = std::slice::from_ref(node);
        let items = match &node.tree {
            Tree::List(items) => items.as_slice(),
            Tree::Text(_) => one,
            _ => {
                self.refuse(node, "needs", EXPECTED);
                return Vec::new();
            }
        };
        let mut needs = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let field = format!("needs[{place}]");
            let mut reference = Reference::default();
            match &item.tree {
                Tree::Text(to) => reference.to.clone_from(to),
                Tree::Map(entries) => {
                    for entry in entries {
                        match entry.key.as_str() {
                            "task" => {
                                reference.to = self.text(&entry.node, &field).unwrap_or_default();
                            }
                            "optional" => {
                                let flag =
                                    self.read(&entry.node, &field, "true or false", |tree| {
                                        if let Tree::Bool(flag) = tree { Some(*flag) } else { None }
                                    });
                                reference.optional = flag.unwrap_or_default();
                            }
                            word @ ("when" | "as") => {
                                let text = self.text(&entry.node, &field);
                                let text = text.map(|text| (word.to_owned(), Value::String(text)));
                                reference.extra.extend(text);
                            }
                            _ => self.unknown(entry, "a need", NEED_FIELDS),
                        }
                    }
                    if !entries.iter().any(|entry| entry.key == "task") {
                        self.refuse(item, &field, EXPECTED);
                    }
                }
                _ => self.refuse(item, &field, EXPECTED),
            }
            if !reference.to.is_empty() {
                mentioned.push(Mention { to: reference.to.clone(), field, at: item.at });
                needs.push(reference);
            }
        }
        needs
    }

    fn retry(&mut self, node: &Node, spec: &mut TaskSpec) {
        let Tree::Map(entries) = &node.tree else {
            self.refuse(node, "retry", "a map with max_attempts, backoff, base and so on");
            return;
        };
        for entry in entries {
            let node = &entry.node;
            match entry.key.as_str() {
                "max_attempts" => {
                    let attempts = self.whole(node, "retry.max_attempts");
                    // What is out of range is refused with the rest of the task.
                    spec.durability.max_attempts =
                        attempts.map(|attempts| u32::try_from(attempts).unwrap_or(0));
                }
                "backoff" => {
                    let words = ["fixed", "linear", "exponential"].map(|word| (word, word));
                    spec.durability.backoff_strategy =
                        self.word(node, "retry.backoff", &words).map(str::to_owned);
                }
                "max_retries" => {
                    if entries.iter().any(|other| other.key == "max_attempts") {
                        self.refuse(node, "retry.max_retries", "either it or max_attempts");
                        continue;
                    }
                    let retries = self.whole(node, "retry.max_retries");
                    // What is out of range is refused with the rest of the task.
                    let attempts =
                        |retries: i64| u32::try_from(retries.saturating_add(1)).unwrap_or(0);
                    spec.durability.max_attempts = retries.map(attempts);
                }
                "base" => {
                    spec.durability.backoff_base_seconds = self.seconds(node, "retry.base");
                }
                "max" => spec.durability.backoff_max_seconds = self.seconds(node, "retry.max"),
                "factor" => {
                    spec.durability.backoff_factor =
                        self.read(node, "retry.factor", "a number from 1 to 100", |tree| {
                            if let Tree::Number(number) = tree { number.as_f64() } else { None }
                        });
                }
                "jitter" => {
                    let read = jitter(&node.to_value());
                    if read.is_none() {
                        self.refuse(node, "retry.jitter", JITTER);
                    }
                    spec.durability.jitter = read.unwrap_or_default();
                }
                "not_on" => {
                    let read = no_retry_on(&node.to_value());
                    if read.is_none() {
                        self.refuse(node, "retry.not_on", NO_RETRY_ON);
                    }
                    spec.durability.no_retry_on = read.unwrap_or_default();
                }
                "deadline" => {
                    spec.durability.retry_deadline_seconds = self.seconds(node, "retry.deadline");
                }
                _ => self.unknown(entry, "retry", RETRY_FIELDS),
            }
        }
    }

    /// Refuses keys that no task has, at the line where they are written.
    fn references(&mut self, tasks: &[Keyed], mentions: &[Vec<Mention>]) {
        let known: HashSet<&str> = tasks.iter().map(|task| task.key.as_str()).collect();
        for (task, mentioned) in tasks.iter().zip(mentions) {
            for mention in mentioned.iter().filter(|it| !known.contains(it.to.as_str())) {
                let code = if mention.field == "parent" {
                    Code::InvalidParent
                } else {
                    Code::UnknownReference
                };
                let reason =
                    format!("no task of the file has the key `{}`", shortened(&mention.to));
                let mut problem = Problem::new(code, reason)
                    .of_task(shortened(&task.key))
                    .expecting("the key of a task of this file")
                    .found(mention.to.clone());
                let keys = tasks.iter().take(1000).map(|task| task.key.as_str());
                if let Some(near) = nearest(&mention.to, keys) {
                    problem = problem.hinting(format!("did you mean `{}`?", shortened(near)));
                }
                self.add(mention.at, &mention.field, problem);
            }
        }
    }
}

/// A key that a task refers to.
struct Mention {
    to: String,
    field: String,
    at: Place,
}

/// Seconds of a text like `1h30m`, `90s` or `500ms`.
fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 5] =
        [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, each) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum += number.parse::<f64>().ok()? * each;
        rest = tail.trim_start();
    }
    (!text.trim().is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_a_sum_of_numbers_with_units() {
        assert_eq!(seconds("30s"), Some(30.0));
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("1.5m"), Some(90.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("1d 2h"), Some(93600.0));
        for wrong in ["", "30", "s", "-3s", "3x", "1..2s", "3S"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
