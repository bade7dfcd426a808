//! Reading a workflow file with its inputs; shared by `run`, `validate` and `graph`.

use std::{fs, io::Read as _, path::Path};

use apflow::{
    core::{
        code::Code,
        problem::{Problem, Problems, nearest},
        store::Submission,
        submit::{Limits, Order, Reference, TaskSpec, compile},
        task::Begins,
        workflow::{Format, MAX_FILE_BYTES, Workflow},
    },
    system::SystemIds,
};
use serde_json::{Map, Value, json};

use crate::{error::CliError, show::data::assignment};

/// A workflow and what it is called in messages.
pub(crate) struct Source {
    /// The name of the file.
    pub(crate) name: String,
    /// What it says.
    pub(crate) workflow: Workflow,
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn text(file: &str) -> Result<String, CliError> {
    let cannot = |error: &std::io::Error| {
        let told = CliError::new(Code::WorkflowFile, format!("{} cannot be read", named(file)));
        let told = told.because(error.to_string());
        match error.kind() {
            std::io::ErrorKind::NotFound => told.help("see that the path is right from here"),
            std::io::ErrorKind::InvalidData => told.help("write it in UTF-8"),
            _ => told.help("see that you may read it"),
        }
    };
    // One byte more than is allowed, so that the reader can say that it is too long.
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| cannot(&error))?;
    Ok(text)
}

/// What a file is called in messages.
pub(crate) fn named(file: &str) -> String {
    if file == "-" { "standard input".to_owned() } else { file.to_owned() }
}

impl Source {
    /// Reads a workflow file.
    pub(crate) fn read(file: &str) -> Result<Self, CliError> {
        let text = text(file)?;
        let looks_like_json = file == "-" && text.trim_start().starts_with(['{', '[']);
        let format = if looks_like_json { Format::Json } else { Format::of_name(file) };
        let name = named(file);
        let read = Workflow::parse(&text, format).and_then(|mut workflow| {
            workflow.resolve(file, &beside)?;
            Ok(workflow)
        });
        match read {
            Ok(workflow) => Ok(Self { name, workflow }),
            Err(problems) => Err(CliError::problems(name, problems)),
        }
    }

    /// The order for one run of it, checked against the executors of this process.
    pub(crate) fn order(
        &self,
        inputs: Map<String, Value>,
        run: &str,
        executors: &[String],
    ) -> Result<Order, CliError> {
        let wrong = |problems| CliError::problems(self.name.clone(), problems);
        let order = self.workflow.order(inputs, run).map_err(wrong)?;
        let mut problems = strangers(&order, run, executors);
        if problems.is_empty() {
            return Ok(order);
        }
        // All problems are told at once, those of the tree beside those of the executors.
        if let Err(Problems(more)) = compile(order, &SystemIds, &Limits::default()) {
            problems.extend(more);
        }
        Err(wrong(Problems::of(problems)))
    }

    /// What would be stored, or everything that is wrong with it.
    pub(crate) fn compile(&self, order: Order) -> Result<Submission, CliError> {
        compile(order, &SystemIds, &Limits::default())
            .map_err(|problems| CliError::problems(self.name.clone(), problems))
    }

    /// A short name for runs of it.
    pub(crate) fn stem(&self) -> String {
        let file = Path::new(&self.name).file_stem().and_then(|stem| stem.to_str());
        let name = self.workflow.name.as_deref().or(file).unwrap_or("run");
        let dashed: String = name
            .chars()
            .map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
            .take(30)
            .collect();
        let dashed = dashed.trim_matches('-');
        if dashed.is_empty() { "run".to_owned() } else { dashed.to_owned() }
    }
}

/// The workflow in a file that another file names; its path begins where the other file lies.
fn beside(base: &str, name: &str) -> Result<(String, Value), Problems> {
    let path = Path::new(base).parent().unwrap_or(Path::new("")).join(name);
    let path = path.to_string_lossy().into_owned();
    let text = text(&path).map_err(|error| {
        let said = match error {
            CliError::Said { what, why: Some(why), .. } => format!("{what}: {why}"),
            CliError::Said { what, .. } => what,
            _ => format!("{path} cannot be read"),
        };
        let problem = Problem::new(Code::WorkflowFile, said);
        Problems::one(problem.in_field("workflow").found(name))
    })?;
    Ok((path.clone(), Workflow::data(&text, Format::of_name(&path))?))
}

/// Inputs from a file, and those of the command line over them.
pub(crate) fn inputs(file: Option<&str>, given: &[String]) -> Result<Map<String, Value>, CliError> {
    let mut inputs = match file {
        None => Map::new(),
        Some(file) => {
            let text = text(file)?;
            let value = if Format::of_name(file) == Format::Json {
                serde_json::from_str(&text).map_err(|error| error.to_string())
            } else {
                serde_saphyr::from_str(&text).map_err(|error| error.to_string())
            };
            let wrong = || CliError::usage(format!("{file} holds no inputs"));
            match value {
                Ok(Value::Object(inputs)) => inputs,
                Ok(_) => return Err(wrong().because("it is no map of names and values")),
                Err(why) => return Err(wrong().because(why)),
            }
        }
    };
    for text in given {
        let (name, value) = assignment(text, "-i")?;
        inputs.insert(name, value);
    }
    Ok(inputs)
}

/// A task as the API takes it; what it does not say is left out.
pub(crate) fn task_json(task: &TaskSpec) -> Value {
    let mut object = task.extra.clone();
    let mut put = |name: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if !empty {
            object.insert(name.to_owned(), value);
        }
    };
    let dependency = |it: &Reference| {
        if it.plain && !it.optional {
            return json!(it.to);
        }
        let mut object = it.extra.clone();
        object.insert("id".to_owned(), json!(it.to));
        object.insert("required".to_owned(), json!(!it.optional));
        Value::Object(object)
    };
    put("id", json!(task.id));
    put("name", json!(task.name));
    put("parent_id", json!(task.parent));
    put("task_tree_id", json!(task.tree_id));
    put("user_id", json!(task.user_id));
    put("priority", json!(task.priority));
    put("dependencies", task.dependencies.iter().map(dependency).collect());
    put("join", json!(task.join));
    put("when", json!(task.when));
    put("loop", json!(task.loop_edge));
    put("max_cycles", json!(task.max_cycles));
    put("start", json!((task.start != Begins::default()).then_some(task.start)));
    put("inputs", json!(task.inputs));
    put("params", json!(task.params));
    put("schemas", json!(task.schemas));
    put("timeout_seconds", json!(task.timeout_seconds));
    put("placement_constraints", json!(task.placement_constraints));
    let groups = [
        json!(task.schedule),
        json!(task.durability),
        json!(task.governance),
        json!(task.timeouts),
        json!(task.flow),
    ];
    for group in groups {
        if let Value::Object(fields) = group {
            for (name, value) in fields {
                put(&name, value);
            }
        }
    }
    Value::Object(object)
}

/// Tasks whose executor is not there; an allow-list is the operator's affair and told later.
fn strangers(order: &Order, run: &str, known: &[String]) -> Vec<Problem> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    order
        .tasks
        .iter()
        .filter_map(|task| {
            let asked = text(task.params.get("executor_id")).or(text(task.schemas.get("method")));
            let id = task.id.as_deref().unwrap_or(&task.name);
            let key = id.strip_prefix(run).and_then(|rest| rest.strip_prefix('/')).unwrap_or(id);
            let Some(asked) = asked else {
                return Some(
                    Problem::new(Code::UnknownExecutor, "it names no executor")
                        .of_task(format!("`{key}`"))
                        .in_field("executor")
                        .expecting(format!("one of {}", known.join(", "))),
                );
            };
            if known.contains(&asked.as_str()) {
                return None;
            }
            let problem =
                Problem::new(Code::UnknownExecutor, format!("there is no `{asked}` here"))
                    .of_task(format!("`{key}`"))
                    .in_field("executor")
                    .expecting(format!("one of {}", known.join(", ")))
                    .found(asked.clone());
            // Most ids end like this, and people leave it out.
            let whole = format!("{asked}_executor");
            let ids = || known.iter().copied();
            Some(match nearest(&asked, ids()).or_else(|| nearest(&whole, ids())) {
                Some(meant) => problem.hinting(format!("did you mean `{meant}`?")),
                None => problem.hinting("`apflow info` lists what there is"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apflow::core::{
        flow::Limit,
        submit::{Reading, read_tasks},
        task::{LoopEdge, Priority},
    };

    #[test]
    fn a_task_that_is_sent_arrives_as_it_was_meant() {
        let mut full = TaskSpec::new("n");
        full.id = Some("r/a".to_owned());
        full.user_id = Some("ada".to_owned());
        full.priority = Priority::try_from(0).expect("urgent");
        full.dependencies = vec![Reference::optional("b"), Reference::required("c")];
        full.inputs.insert("x".to_owned(), json!({"y": [1, null]}));
        full.schemas.insert("method".to_owned(), json!("report_executor"));
        full.timeout_seconds = Some(1.5);
        full.when = Some("inputs.x is defined".to_owned());
        full.dependencies[1].extra.insert("when".to_owned(), json!("result.ok"));
        full.loop_edge = Some(LoopEdge {
            to: Some("b".to_owned()),
            condition: "not result.ok".to_owned(),
            max: Some(3),
        });
        full.max_cycles = Some(5);
        full.start = Begins::OnJump;
        full.timeouts.deadline_seconds = Some(60.0);
        full.flow.limits.push(Limit { key: "api".to_owned(), max: Some(2) });
        full.durability.max_attempts = Some(4);
        full.durability.backoff_strategy = Some("fixed".to_owned());
        let others = ["b", "c"].map(|id| TaskSpec { id: Some(id.to_owned()), ..TaskSpec::new(id) });
        let mut meant = vec![full];
        meant.extend(others);
        let sent: Vec<Value> = meant.iter().map(task_json).collect();
        let (arrived, warnings) =
            read_tasks(&Value::Array(sent), &Reading::Strict).expect("good tasks");
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(arrived, meant);
    }

    #[test]
    fn every_example_survives_the_way_to_a_server() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut seen = 0;
        for file in fs::read_dir(root).expect("examples") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|it| it != "yaml") {
                continue;
            }
            let source = Source::read(path.to_str().expect("a plain path")).expect("an example");
            let Ok(order) = source.workflow.order(Map::new(), "run") else { continue };
            let sent: Vec<Value> = order.tasks.iter().map(task_json).collect();
            let (mut arrived, _) =
                read_tasks(&Value::Array(sent), &Reading::Strict).expect("good tasks");
            let mut meant = order.tasks;
            // Both forms of a dependency that is required mean the same.
            for task in arrived.iter_mut().chain(&mut meant) {
                task.dependencies.iter_mut().for_each(|it| it.plain = false);
            }
            assert_eq!(arrived, meant, "{}", path.display());
            seen += 1;
        }
        assert!(seen >= 2, "{seen} examples");
    }
}
