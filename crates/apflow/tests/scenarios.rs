//! Scenarios that are data: each file under `scenarios/` runs on every database, with one worker and
//! with two, and has to come out as its `expect` says.

mod bed;
mod month;

mod rules;

use std::time::Duration;

use apflow::core::{
    id::TaskId,
    store::{Inserted, WaitFilter, WaitRecord, WaitState},
    submit::Order,
    task::{Outcome, Record, StateName},
};
use bed::Bed;
use serde_json::{Map, Value, json};

/// How long anything may take; it is a hang then.
const PATIENCE: Duration = Duration::from_secs(30);

/// One file.
#[derive(serde::Deserialize)]
struct Scenario {
    about: String,
    cases: Vec<Case>,
}

/// One story.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    tasks: Value,
    /// What somebody does while it runs; then its end is waited for.
    #[serde(default)]
    steps: Vec<Map<String, Value>>,
    #[serde(default)]
    expect: Expect,
}

/// What must have come of it.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    outcome: Option<String>,
    /// Ends with a result, by task.
    runs: Map<String, Value>,
    /// `a < b`: a had ended before b began.
    order: Vec<String>,
    states: Map<String, Value>,
    results: Map<String, Value>,
    /// Parts of errors.
    errors: Map<String, Value>,
    kv: Map<String, Value>,
    noted: Map<String, Value>,
    noted_in_any_order: Map<String, Value>,
}

/// A case that is being run.
struct Story<'a> {
    title: String,
    prefix: String,
    inserted: Inserted,
    bed: &'a mut Bed,
}

async fn play(file: &str) {
    // `n` and `yes` are words, as in YAML 1.2.
    let options = serde_saphyr::options! { strict_booleans: true };
    let scenario = serde_saphyr::from_str_with_options::<Scenario>(file, options);
    let scenario = scenario.expect("the file can be read");
    for kind in bed::kinds() {
        let mut bed = Bed::new(kind).await;
        for (number, case) in scenario.cases.iter().enumerate() {
            bed.log.clear();
            let title = format!("{} / {} on {kind:?}", scenario.about, case.name);
            let told = tokio::time::timeout(PATIENCE * 2, tell(&mut bed, number, case, &title));
            told.await.unwrap_or_else(|_| panic!("{title}: it does not end"));
        }
        bed.stop().await;
    }
}

async fn tell(bed: &mut Bed, number: usize, case: &Case, title: &str) {
    let prefix = format!("c{number}/");
    let tasks = rules::specs(&case.tasks, &prefix);
    let order = Order { tasks, start: true, ..Order::default() };
    let inserted = bed.engine().submit(order).await;
    let inserted = inserted.unwrap_or_else(|error| panic!("{title}: {error}"));
    let mut story = Story { title: title.to_owned(), prefix, inserted, bed };
    for step in &case.steps {
        story.step(step).await;
    }
    story.over().await;
    story.check(&case.expect).await;
}

impl Story<'_> {
    async fn step(&mut self, step: &Map<String, Value>) {
        let verb = |key: &&String| !["of", "by", "refused", "params"].contains(&key.as_str());
        let verb = step.keys().find(verb).expect("a step says what to do");
        let said = &step[verb];
        let of = step.get("of").unwrap_or(said);
        match verb.as_str() {
            "parked" => drop(self.wait_of(said, WaitState::Pending).await),
            "expired" => drop(self.wait_of(said, WaitState::Expired).await),
            "answer" => {
                let wait = self.open_wait(of).await;
                let by = step.get("by").cloned().unwrap_or_else(|| json!("ann"));
                let params = json!({ "id": wait.id, "answer": said, "responded_by": by });
                self.call("feedback.respond", params, step).await;
            }
            "again" => {
                let filter = WaitFilter {
                    task: Some(self.id(of)),
                    state: Some(WaitState::Answered),
                    ..WaitFilter::default()
                };
                let wait = self.waits(filter).await.pop().expect("it was answered");
                let params = json!({ "id": wait.id, "answer": said });
                self.call("feedback.respond", params, step).await;
            }
            "withdraw" => {
                let wait = self.open_wait(of).await;
                let params = json!({ "id": wait.id, "reason": said });
                self.call("feedback.cancel", params, step).await;
            }
            "restart" => self.bed.restart().await,
            "over" => self.over().await,
            "forget" => self.bed.log.clear(),
            "ended" => self.ended(said).await,
            "restore" => {
                let params = json!({ "task_id": self.id(of).as_str(), "name": said });
                self.call("snapshots.restore", params, step).await;
            }
            "snapshots" => {
                let params = json!({ "task_id": self.id(of).as_str() });
                let list = self.bed.call("snapshots.list", params).await.expect("a list");
                let list = list.get("snapshots").unwrap_or(&list).as_array().cloned();
                let mut names: Vec<Value> =
                    list.expect("a list").iter().map(|one| one["name"].clone()).collect();
                names.sort_by_key(Value::to_string);
                assert_eq!(&json!(names), said, "{}: snapshots", self.title);
            }
            "call" => {
                let method = said.as_str().expect("a method");
                self.call(method, step["params"].clone(), step).await;
            }
            "check" => {
                let expect = serde_json::from_value(said.clone()).expect("what to expect");
                self.check(&expect).await;
            }
            _ => panic!("{}: no such step: {verb}", self.title),
        }
    }

    fn id(&self, key: &Value) -> TaskId {
        TaskId::new(format!("{}{}", self.prefix, key.as_str().expect("a task")))
    }

    /// Calls an operation, which is refused if the step says with which code.
    async fn call(&self, method: &str, params: Value, step: &Map<String, Value>) {
        let answer = self.bed.call(method, params).await;
        match (step.get("refused").and_then(Value::as_str), answer) {
            (None, Ok(_)) => {}
            (Some(code), Err(error)) => {
                assert_eq!(error.code.to_string(), code, "{}: {error:?}", self.title);
            }
            (_, answer) => panic!("{}: {method}: {answer:?}", self.title),
        }
    }

    async fn waits(&self, filter: WaitFilter) -> Vec<WaitRecord> {
        let store = self.bed.engine().store();
        store.waits(&filter, apflow::core::store::Page::default()).await.expect("a list")
    }

    async fn open_wait(&self, task: &Value) -> WaitRecord {
        for _ in 0..PATIENCE.as_millis() / 5 {
            let filter = WaitFilter { task: Some(self.id(task)), ..WaitFilter::default() };
            if let Some(wait) = self.waits(filter).await.into_iter().find(WaitRecord::is_open) {
                return wait;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{}: {task} waits for nothing", self.title)
    }

    async fn wait_of(&self, task: &Value, state: WaitState) -> WaitRecord {
        for _ in 0..PATIENCE.as_millis() / 5 {
            let (task, state) = (Some(self.id(task)), Some(state));
            let filter = WaitFilter { task, state, ..WaitFilter::default() };
            if let Some(wait) = self.waits(filter).await.pop() {
                return wait;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{}: {task} does not come to be {state:?}", self.title)
    }

    async fn ended(&self, task: &Value) {
        for _ in 0..PATIENCE.as_millis() / 5 {
            let record = self.bed.engine().store().record(&self.id(task)).await;
            let record = record.expect("it can be read").expect("it is there");
            if record.task.state.name().is_terminal() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{}: {task} does not end", self.title)
    }

    /// Waits until every run has ended; a jump may set another tree of the submission going.
    async fn over(&self) {
        loop {
            self.each_over().await;
            let ended = |record: &Record| {
                let state = record.task.state.name();
                state.is_terminal() || state == StateName::Blocked
            };
            if self.records().await.iter().all(ended) {
                return;
            }
        }
    }

    async fn each_over(&self) {
        for tree in &self.inserted.trees {
            let end = tokio::time::timeout(PATIENCE, self.bed.engine().wait(tree)).await;
            let Ok(end) = end else {
                panic!("{}: it does not end: {:#?}", self.title, self.records().await)
            };
            end.expect("the run can be read");
        }
    }

    /// Every task, as `name state`.
    async fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for root in &self.inserted.roots {
            all.extend(self.bed.engine().store().subtree(root).await.expect("the tasks"));
        }
        all
    }

    async fn check(&self, expect: &Expect) {
        let (title, log) = (&self.title, &self.bed.log);
        let records = self.records().await;
        let find = |name: &str| {
            let found = records.iter().find(|record| record.definition.name == name);
            found.unwrap_or_else(|| panic!("{title}: there is no task {name}"))
        };
        let told: Vec<String> = records
            .iter()
            .map(|one| format!("{} {} {:?}", one.definition.name, one.task.state.name(), one.error))
            .collect();
        if let Some(outcome) = &expect.outcome {
            let mut worst = "completed";
            for tree in &self.inserted.trees {
                let run = self.bed.engine().wait(tree).await.expect("it has ended");
                match run.outcome {
                    Some(Outcome::Failed) => worst = "failed",
                    Some(Outcome::Cancelled) if worst != "failed" => worst = "cancelled",
                    _ => {}
                }
            }
            assert_eq!(worst, outcome, "{title}: {told:#?}");
        }
        for (task, times) in &expect.runs {
            assert_eq!(json!(log.runs(task)), *times, "{title}: runs of {task}: {told:#?}");
        }
        for pair in &expect.order {
            let (first, second) = pair.split_once(" < ").expect("a < b");
            assert!(log.before(first, second), "{title}: {pair}");
        }
        for (task, state) in &expect.states {
            let is = find(task).task.state.name().to_string();
            assert_eq!(json!(is), *state, "{title}: {task}: {told:#?}");
        }
        for (task, result) in &expect.results {
            let is = find(task).result.clone().unwrap_or_default();
            assert!(same(&is, result), "{title}: {task}: {is} and not {result}: {told:#?}");
        }
        for (task, part) in &expect.errors {
            let is = find(task).error.clone().unwrap_or_default();
            let part = part.as_str().expect("a text");
            assert!(is.contains(part), "{title}: {task}: {is:?} has no {part:?}");
        }
        for (key, value) in &expect.kv {
            let channel = self.bed.engine().channel(&self.inserted.trees[0], "a test");
            let is = channel.get(key).await.expect("it can be read").unwrap_or_default();
            assert!(same(&is, value), "{title}: {key}: {is} and not {value}");
        }
        for (name, values) in &expect.noted {
            assert!(same(&json!(log.notes(name)), values), "{title}: {:?}", log.notes(name));
        }
        for (name, values) in &expect.noted_in_any_order {
            let sorted = |values: &[Value]| {
                let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            let (is, wanted) = (log.notes(name), values.as_array().expect("a list"));
            assert_eq!(sorted(&is), sorted(wanted), "{title}: {name}");
        }
    }
}

/// Equal, where numbers are equal if they are nearly so: 95 and 95.0, 0.8 and what sums give.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            matches!((one.as_f64(), other.as_f64()), (Some(a), Some(b)) if (a - b).abs() < 1e-9)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, a)| other.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

macro_rules! scenarios {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                play(include_str!(concat!("scenarios/", $file))).await;
            }
        )*

        #[test]
        fn every_scenario_is_played() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
            for entry in std::fs::read_dir(folder).expect("the folder") {
                let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
                let played = [$($file),*].contains(&name.as_str());
                assert!(played || !name.ends_with(".yaml"), "nobody plays {name}");
            }
        }
    };
}

scenarios! {
    s01_results_go_down_a_line: "s01_line.yaml",
    s03_a_join_runs_once: "s03_diamond.yaml",
    s05_branches_share_values_and_lose_none: "s05_shared.yaml",
    s07_a_task_goes_round_until_it_is_satisfied: "s07_rounds.yaml",
    s09_two_tasks_jump_to_and_fro_within_bounds: "s09_jumps.yaml",
    s11_tasks_bring_tasks_into_being: "s11_fan_out.yaml",
    s13_an_order_goes_on_where_a_snapshot_has_it: "s13_order.yaml",
    s15_people_are_asked_and_answer: "s15_approval.yaml",
    s17_tasks_run_tasks_of_their_own: "s17_inside.yaml",
}
