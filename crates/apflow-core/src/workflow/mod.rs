//! Workflow files: YAML or JSON in which people write tasks under keys.
//!
//! A file is read once and ordered as often as it is run; each run has ids of its own.

mod node;
mod read;
mod schedule;
mod schema;
mod substitute;
#[cfg(test)]
mod tests;

pub use schema::json_schema;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::{
    code::Code,
    problem::{Problem, Problems},
    submit::{Order, TaskSpec},
    task::TreeOptions,
};

/// The longest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// The longest key; with the run before it, it stays a legal id.
const MAX_KEY_CHARS: usize = 200;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// JSON for names that end in `.json`, YAML for all others.
    pub fn of_name(name: &str) -> Self {
        let json = name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Yaml }
    }
}

/// A workflow file that has been read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workflow {
    /// What it is called.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its inputs, with the values they have unless the caller says otherwise.
    pub inputs: Map<String, Value>,
    /// What holds for each of its trees.
    pub options: TreeOptions,
    /// What was ignored.
    pub warnings: Vec<String>,
    tasks: Vec<Keyed>,
    /// A list of tasks in the shape of `/tasks`: no inputs, and references may be names.
    plain: bool,
}

/// A task and the key it has in the file.
#[derive(Debug, Clone, PartialEq)]
struct Keyed {
    key: String,
    spec: TaskSpec,
}

impl Workflow {
    /// Reads a file, or tells everything that is wrong with it, each thing with its line.
    pub fn parse(text: &str, format: Format) -> Result<Self, Problems> {
        if text.len() > MAX_FILE_BYTES {
            return Err(Problems::one(
                Problem::new(
                    Code::TooLarge,
                    format!(
                        "the file has {} bytes, where {MAX_FILE_BYTES} are allowed",
                        text.len()
                    ),
                )
                .hinting("pass large data by its path or address"),
            ));
        }
        let file = match format {
            Format::Yaml => node::from_yaml(text),
            Format::Json => node::from_json(text),
        };
        let file = file.map_err(|(what, at)| {
            let what = crate::problem::shortened(&what);
            // Both readers know the place and some of their texts say it already.
            let reason = if what.contains("line") { what } else { at.after(&what) };
            let advice = node::advice(&reason);
            let problem = Problem::new(Code::WorkflowFile, reason).expecting(match format {
                Format::Yaml => "YAML 1.2, each key once",
                Format::Json => "JSON, each key once",
            });
            Problems::one(match advice {
                Some(advice) => problem.hinting(advice),
                None => problem,
            })
        })?;
        read::workflow(&file)
    }

    /// The keys of its tasks, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.key.as_str())
    }

    /// Its task, if it has just one.
    pub(crate) fn into_single(self) -> Option<TaskSpec> {
        let mut tasks = self.tasks;
        let only = tasks.pop()?;
        tasks.is_empty().then_some(only.spec)
    }

    /// The tasks of one run: ids are `<run>/<key>`, and inputs stand where they are referred to.
    ///
    /// `inputs` go over the values of the file. The order does not ask to be started and has no owner;
    /// the caller adds that.
    pub fn order(&self, inputs: Map<String, Value>, run: &str) -> Result<Order, Problems> {
        let mut problems = Vec::new();
        let mut used = BTreeSet::new();
        let mut room = substitute::MAX_PUT;
        let mut known = self.inputs.clone();
        let given: Vec<String> = inputs.keys().cloned().collect();
        known.extend(inputs);
        let known: BTreeMap<String, (Value, usize)> = known
            .into_iter()
            .map(|(name, value)| {
                let length = value.to_string().len();
                (name, (value, length))
            })
            .collect();
        let mut tasks: Vec<TaskSpec> = Vec::with_capacity(self.tasks.len());
        for task in &self.tasks {
            let mut spec = task.spec.clone();
            if !self.plain {
                let mut fill = substitute::Fill {
                    known: &known,
                    used: &mut used,
                    room: &mut room,
                    task: &task.key,
                    pattern: false,
                    problems: &mut problems,
                };
                fill.map("inputs", &mut spec.inputs);
                fill.pattern = crate::pattern::is_in(&spec);
                fill.map("params", &mut spec.params);
            }
            tasks.push(spec);
        }
        for name in given {
            if !self.inputs.contains_key(&name) && !used.contains(&name) {
                problems.push(substitute::not_an_input(&name, self.inputs.keys()));
            }
        }
        Problems::refuse(problems)?;
        self.name_for(run, &mut tasks);
        Ok(Order { tasks, options: self.options, ..Order::default() })
    }

    /// Gives each task its id in this run, and each reference the id it means.
    fn name_for(&self, run: &str, tasks: &mut [TaskSpec]) {
        let in_run = |key: &str| format!("{run}/{key}");
        let called: HashMap<&str, &str> = self
            .tasks
            .iter()
            .filter_map(|task| {
                let key = task.key.as_str();
                // In a plain list only ids are renamed; names are left for the compiler to look up.
                let said = if self.plain { task.spec.id.as_deref()? } else { key };
                Some((said, key))
            })
            .collect();
        let renamed = |to: String| called.get(to.as_str()).map_or(to.clone(), |key| in_run(key));
        for (task, spec) in self.tasks.iter().zip(tasks) {
            spec.id = Some(in_run(&task.key));
            spec.tree_id = spec.tree_id.take().map(|tree| in_run(&tree));
            spec.parent = spec.parent.take().map(renamed);
            let named = spec.when.is_some()
                || crate::condition::on_edges(spec)
                || crate::pattern::is_in(spec);
            if let Some(edge) = &mut spec.loop_edge {
                edge.to = edge.to.take().map(renamed);
            }
            let named = spec.when.is_some() || crate::condition::on_edges(spec);
            for reference in &mut spec.dependencies {
                // Expressions go on calling it by its key.
                if named {
                    let key = || Value::String(reference.to.clone());
                    reference.extra.entry("as").or_insert_with(key);
                }
                reference.to = renamed(std::mem::take(&mut reference.to));
            }
        }
    }
}
