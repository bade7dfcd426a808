//! Claims about workflow files.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    build::{TaskBuilder, task},
    graph::TaskGraph,
    id::Ids,
    store::Submission,
    submit::{Limits, compile},
    task::Priority,
};

const PAGE: &str = include_str!("../../../../docs/reference/workflow.md");
/// The guide to schedules, which explains their block.
const GUIDE: &str = include_str!("../../../../docs/guides/scheduling.md");
const CONDITIONS: &str = include_str!("../../../../docs/guides/conditions.md");
/// Where loops, jumps and their bounds are explained.
const DYNAMIC: &str = include_str!("../../../../docs/guides/dynamic-tasks.md");
/// Where limits, rates and breakers are explained.
const FLOW: &str = include_str!("../../../../docs/guides/flow-control.md");
/// Where the fields of retries and times are explained.
const RETRIES: &str = include_str!("../../../../docs/guides/retries.md");

const EXAMPLE: &str = r#"
name: report
inputs: {repo: ".", most: 5}
on_failure: skip_dependents
timeout: 10m
tasks:
  commits:
    executor: command_executor
    inputs: {argv: [git, log, "-${inputs.most}"], cwd: "${inputs.repo}", most: "${inputs.most}"}
    priority: high
    timeout: 30s
    retry: {max_attempts: 3, backoff: exponential, base: 1s}
  machine:
    executor: system_info_executor
  report:
    name: Report
    executor: aggregate_results_executor
    needs: [commits, {task: machine, optional: true}]
"#;

struct NoIds;

impl Ids for NoIds {
    fn next(&self) -> String {
        unreachable!("every task of a file has a key")
    }
}

fn yaml(text: &str) -> Workflow {
    Workflow::parse(text, Format::Yaml).unwrap_or_else(|told| panic!("refused:\n{told}"))
}

fn refused(text: &str) -> Vec<Problem> {
    match Workflow::parse(text, Format::Yaml) {
        Ok(_) => panic!("accepted: {text}"),
        Err(Problems(told)) => told,
    }
}

fn compiled(order: Order) -> Submission {
    compile(order, &NoIds, &Limits::default()).unwrap_or_else(|told| panic!("refused:\n{told}"))
}

fn ordered(workflow: &Workflow) -> Submission {
    compiled(workflow.order(Map::new(), "r").unwrap_or_else(|told| panic!("refused:\n{told}")))
}

#[test]
fn ids_are_the_run_and_the_key_and_names_are_kept() {
    let stored = ordered(&yaml(EXAMPLE));
    let ids: Vec<&str> = stored.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["r/commits", "r/machine", "r/report"]);
    assert_eq!(stored.tasks[0].definition.name, "commits");
    assert_eq!(stored.tasks[2].definition.name, "Report");
    assert_eq!(stored.tasks[2].definition.dependencies[1].id.as_str(), "r/machine");
    assert!(!stored.tasks[2].definition.dependencies[1].required);
    assert_eq!(stored.trees[0].options.timeout_seconds, Some(600.0));
}

#[test]
fn a_file_the_builder_and_the_operators_make_the_same_submission() {
    let from_file = ordered(&yaml(EXAMPLE));
    let commits = task("commits")
        .id("r/commits")
        .executor("command_executor")
        .input("argv", json!(["git", "log", "-5"]))
        .input("cwd", ".")
        .input("most", 5)
        .priority(Priority::HIGH)
        .timeout(Duration::from_secs(30))
        .max_attempts(3)
        .backoff("exponential", Duration::from_secs(1));
    let machine = task("machine").id("r/machine").executor("system_info_executor");
    let report = task("Report").id("r/report").executor("aggregate_results_executor");
    let options = yaml(EXAMPLE).options;

    let chained = report.clone().depends_on(["r/commits"]).optional("r/machine");
    let built = [commits.clone(), machine.clone(), chained].map(TaskBuilder::build);
    let built = compiled(Order { tasks: built.into(), options, ..Order::default() });
    assert_eq!(built, from_file);

    let flow = commits >> report.clone() | machine >> report;
    let mut tasks = flow.tasks();
    // The operators say only "required", and tell tasks in the order they were written.
    tasks[1].dependencies[1].optional = true;
    tasks.swap(1, 2);
    let drawn = compiled(Order { tasks, options, ..Order::default() });
    assert_eq!(drawn, from_file);
}

#[test]
fn a_list_with_keys_and_the_same_file_in_json_mean_the_same() {
    let file = node::from_yaml(EXAMPLE).expect("sound").to_value();
    let mut list = file.clone();
    list["tasks"] = ["commits", "machine", "report"]
        .iter()
        .map(|key| {
            let mut task = file["tasks"][key].clone();
            task["key"] = json!(key);
            task
        })
        .collect();
    for text in [file.to_string(), list.to_string()] {
        let read = Workflow::parse(&text, Format::Json).expect("the same file");
        assert_eq!(ordered(&read), ordered(&yaml(EXAMPLE)));
    }
}

#[test]
fn an_input_keeps_its_type_alone_and_becomes_text_among_text() {
    let workflow = yaml(EXAMPLE);
    let given = json!({"most": 7, "repo": {"path": "/x"}}).as_object().cloned().unwrap_or_default();
    let order = workflow.order(given, "r").expect("known inputs");
    let inputs = &order.tasks[0].inputs;
    assert_eq!(inputs["most"], json!(7));
    assert_eq!(inputs["argv"][2], json!("-7"));
    assert_eq!(inputs["cwd"], json!({"path": "/x"}));
}

#[test]
fn a_dollar_twice_is_a_dollar_and_no_reference() {
    let text = "inputs: {a: 1}\ntasks: {t: {inputs: {x: 'a $${HOME} $5 ${inputs.a}$'}}}";
    let order = yaml(text).order(Map::new(), "r").expect("escaped");
    assert_eq!(order.tasks[0].inputs["x"], json!("a ${HOME} $5 1$"));
}

#[test]
fn an_unknown_input_lists_those_there_are() {
    let workflow = yaml("inputs: {repo: '.'}\ntasks: {t: {inputs: {x: '${inputs.rpeo}'}}}");
    let Problems(told) = workflow.order(Map::new(), "r").expect_err("no such input");
    assert_eq!(told[0].expected.as_deref(), Some("one of repo"));
    assert_eq!(told[0].hint.as_deref(), Some("did you mean `repo`?"));
    assert_eq!(told[0].task.as_deref(), Some("t"));

    let given = json!({"rep": 1}).as_object().cloned().unwrap_or_default();
    let Problems(told) = yaml(EXAMPLE).order(given, "r").expect_err("no such input");
    assert_eq!(told[0].hint.as_deref(), Some("did you mean `repo`?"));

    let undeclared = yaml("tasks: {t: {inputs: {x: '${inputs.a}'}}}");
    let given = json!({"a": [1]}).as_object().cloned().unwrap_or_default();
    let order = undeclared.order(given, "r").expect("given from outside");
    assert_eq!(order.tasks[0].inputs["x"], json!([1]));
    assert!(undeclared.order(Map::new(), "r").is_err());

    let foreign = yaml("tasks: {t: {inputs: {x: '${HOME}', y: '${inputs.a'}}}");
    let Problems(told) = foreign.order(Map::new(), "r").expect_err("only inputs are known");
    assert_eq!(told.len(), 2);
    assert!(told[0].hint.as_deref().is_some_and(|hint| hint.contains("$${")));
}

#[test]
fn inputs_that_multiply_are_stopped() {
    let mut text =
        format!("inputs: {{a: {}}}\ntasks:\n  t:\n    inputs:\n      x:\n", "y".repeat(1_000_000));
    for _ in 0..1000 {
        text.push_str("        - ${inputs.a}\n");
    }
    let Problems(told) = yaml(&text).order(Map::new(), "r").expect_err("a gigabyte");
    assert_eq!((told.len(), told[0].code), (1, Code::TooLarge));
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line_and_the_nearest_word() {
    let told = refused(
        "nmae: x\non_failure: fail-fast\ntimeout: soon\ntasks:\n  fetch:\n    exectuor: x\n    priority: 9\n  \
         b:\n    needs: [fecth, {task: fetch, optonal: true}]\n    retry: {backoff: cubic}\n    inputs: [1]\n  c: 5\n",
    );
    let seen: Vec<(Option<&str>, &str)> =
        told.iter().map(|one| (one.task.as_deref(), one.field.as_deref().unwrap_or(""))).collect();
    for expected in [
        (None, "nmae"),
        (None, "on_failure"),
        (None, "timeout"),
        (Some("fetch"), "exectuor"),
        (Some("fetch"), "priority"),
        (Some("b"), "needs[0]"),
        (Some("b"), "optonal"),
        (Some("b"), "retry.backoff"),
        (Some("b"), "inputs"),
        (Some("c"), "tasks"),
    ] {
        assert!(seen.contains(&expected), "{expected:?} is missing in {seen:?}");
    }
    assert_eq!(told.len(), 10, "{}", Problems(told));
    let of = |field: &str| told.iter().find(|one| one.field.as_deref() == Some(field));
    let typo = of("exectuor").expect("seen above");
    assert!(typo.reason.ends_with("(line 6, column 5)"), "{}", typo.reason);
    assert_eq!(typo.hint.as_deref(), Some("did you mean `executor`?"));
    let need = of("needs[0]").expect("seen above");
    assert!(need.reason.ends_with("(line 9, column 13)"), "{}", need.reason);
    assert_eq!(need.hint.as_deref(), Some("did you mean `fetch`?"));
}

#[test]
fn a_text_that_is_no_yaml_says_where() {
    for text in
        ["tasks: {a: [}", "tasks:\n  a: {}\n  a: {}\n", "a: *b", "tasks: {a: {priority: .nan}}"]
    {
        let told = refused(text);
        assert_eq!((told.len(), told[0].code), (1, Code::WorkflowFile), "{text}");
        assert!(told[0].reason.contains("line "), "{text}: {}", told[0].reason);
    }
    let Problems(told) = Workflow::parse("{\"tasks\": \n{,}}", Format::Json).expect_err("not JSON");
    assert!(told[0].reason.contains("line 2"), "{}", told[0].reason);
    for empty in ["", "5", "tasks: {}", "tasks: []", "name: x", "[]"] {
        assert!(!refused(empty).is_empty(), "{empty:?}");
    }
}

#[test]
fn hostile_files_are_refused_and_break_nothing() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let line = [alias.as_str(); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{line}]\n");
    }
    assert!(!refused(&bomb).is_empty());
    let deep = format!("tasks: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!refused(&deep).is_empty());
    assert!(Workflow::parse(&deep.replace("tasks: ", ""), Format::Json).is_err());
    let block: Vec<String> = (0..800).map(|level| format!("{}a:", " ".repeat(level))).collect();
    let block = block.join("\n");
    assert!(!refused(&block).is_empty());
    let long = format!("tasks: {{a: {{name: {}}}}}", "x".repeat(MAX_FILE_BYTES));
    assert_eq!(refused(&long)[0].code, Code::TooLarge);
    assert!(!refused("tasks: {a: {}}\n---\ntasks: {b: {}}\n").is_empty());
}

#[test]
fn a_list_in_the_shape_of_the_tasks_api_is_a_file_too() {
    let text = json!([
        {"id": "1", "name": "a", "task_tree_id": "1"},
        {"name": "b", "parent_id": "1", "dependencies": ["1"], "inputs": {"x": "${HOME}"}},
        {"name": "c", "dependencies": ["b"]},
    ]);
    let read = Workflow::parse(&text.to_string(), Format::Json).expect("task JSON");
    let stored = ordered(&read);
    let ids: Vec<&str> = stored.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["r/1", "r/b", "r/c"]);
    assert_eq!(stored.trees[0].id.as_str(), "r/1");
    assert_eq!(stored.tasks[2].definition.dependencies[0].id.as_str(), "r/b");
    assert_eq!(stored.tasks[1].definition.inputs["x"], json!("${HOME}"));
}

#[test]
fn aliases_do_not_reach_deeper_than_the_file_may() {
    let mut tower = "a0: &a0 x\n".to_owned();
    for level in 1..20 {
        let (open, close) = ("[".repeat(10), "]".repeat(10));
        tower = format!("{tower}a{level}: &a{level} {open}*a{}{close}\n", level - 1);
    }
    let told = refused(&tower);
    assert!(told[0].reason.contains("depth"), "{}", told[0].reason);
}

#[test]
fn cycles_are_told_in_keys() {
    let looped = yaml("tasks: {a: {needs: b}, b: {needs: [c]}, c: {needs: [a]}}");
    let order = looped.order(Map::new(), "run").expect("the order itself is sound");
    let Problems(told) = compile(order, &NoIds, &Limits::default()).expect_err("a loop");
    assert_eq!(told[0].path, ["a", "b", "c", "a"]);
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = json_schema();
    let sound = node::from_yaml(EXAMPLE).expect("sound").to_value();
    assert_eq!(crate::schema::check(&schema, &sound), Ok(()));
    let mut typo = sound.clone();
    typo["tasks"]["report"]["need"] = json!(["commits"]);
    assert!(crate::schema::check(&schema, &typo).is_err());
    let mut words = sound;
    words["on_failure"] = json!("stop");
    assert!(crate::schema::check(&schema, &words).is_err());
    let fields = |value: &Value| -> Vec<String> {
        value["properties"].as_object().into_iter().flat_map(Map::keys).cloned().collect()
    };
    let sorted = |known: &[&str]| {
        let mut known: Vec<String> = known.iter().map(|&field| field.to_owned()).collect();
        known.sort();
        known
    };
    assert_eq!(fields(&schema), sorted(read::FILE_FIELDS));
    assert_eq!(fields(&schema["$defs"]["task"]), sorted(read::TASK_FIELDS));
}

#[test]
fn the_examples_of_the_reference_page_run_and_every_field_is_explained() {
    let mut examples = 0;
    let blocks = PAGE.split("```yaml\n").skip(1).chain(FLOW.split("```yaml\n").skip(1));
    let blocks = blocks.chain(DYNAMIC.split("```yaml\n").skip(1));
    for block in blocks {
        let text = block.split("```").next().unwrap_or_default();
        let stored = ordered(&yaml(text));
        assert!(!stored.tasks.is_empty());
        let file = node::from_yaml(text).expect("read before").to_value();
        assert_eq!(crate::schema::check(&json_schema(), &file), Ok(()));
        examples += 1;
    }
    assert!(examples >= 2, "{examples} examples");
    // The block `schedule` is explained in the guide that it needs.
    let pages = [PAGE, GUIDE, CONDITIONS, FLOW, RETRIES, DYNAMIC].concat();
    let schedule = super::schedule::FIELDS.iter().map(|(field, _)| field);
    for field in read::FILE_FIELDS.iter().chain(read::TASK_FIELDS).chain(schedule) {
        assert!(pages.contains(&format!("| `{field}` |")), "`{field}` is not explained");
    }
}

#[test]
fn the_faults_of_a_schedule_are_told_at_their_lines() {
    let text = "tasks:
  a:
    schedule:
      type: daily
      expression: 9:5
      timezone: Berlin
  b:
    schedule:
      typ: daily
      start_at: 2027-01-01T00:00:00
      catch_up: -1
  c:
    schedule: {type: interval, expression: 60, enabled: false}
";
    let Err(Problems(told)) = Workflow::parse(text, Format::Yaml) else { panic!("accepted") };
    let found: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|one| {
            let (_, line) = one.reason.split_once("(line ").expect("a line");
            let field = one.field.as_deref().unwrap_or_default();
            (one.task.as_deref().unwrap_or_default(), field, line.split(',').next().unwrap_or(""))
        })
        .collect();
    assert_eq!(
        found,
        [
            ("a", "schedule.timezone", "6"),
            ("a", "schedule.expression", "5"),
            ("b", "typ", "9"),
            ("b", "schedule.start_at", "10"),
            ("b", "schedule.catch_up", "11"),
        ]
    );
    assert_eq!(told[0].hint.as_deref(), Some("did you mean `Europe/Berlin`?"));
    assert_eq!(told[2].hint.as_deref(), Some("did you mean `type`?"));
}

#[test]
fn a_schedule_that_is_there_is_on_and_the_schema_knows_its_fields() {
    let schedule = |more: &str| {
        let block = format!("{{type: interval, expression: 60{more}}}");
        let text = format!("tasks: {{a: {{schedule: {block}}}}}");
        ordered(&yaml(&text)).tasks[0].definition.schedule.clone()
    };
    assert!(schedule("").schedule_enabled);
    assert!(!schedule(", enabled: false").schedule_enabled);
    assert_eq!(schedule("").schedule_expression.as_deref(), Some("60"));
    let schema = json_schema();
    let mut known: Vec<&str> = super::schedule::FIELDS.iter().map(|(field, _)| *field).collect();
    known.sort_unstable();
    let fields = &schema["$defs"]["task"]["properties"]["schedule"]["properties"];
    let fields: Vec<_> = fields.as_object().into_iter().flat_map(Map::keys).collect();
    assert_eq!(fields, known);
}

fn held(text: &str, format: Format) -> Result<(), TestCaseError> {
    let order = Workflow::parse(text, format).and_then(|read| read.order(Map::new(), "r"));
    match order.and_then(|order| compile(order, &NoIds, &Limits::default())) {
        Ok(stored) => {
            prop_assert!(TaskGraph::of(&stored).order().is_ok());
            prop_assert!(stored.tasks.iter().all(|task| task.id.as_str().starts_with("r/")));
        }
        Err(Problems(told)) => {
            prop_assert!(!told.is_empty() && told.iter().all(|one| !one.reason.is_empty()));
        }
    }
    Ok(())
}

#[test]
fn a_file_says_how_its_tasks_go_round() {
    let text = "max_steps: 50\nmax_spawned: 0\nmax_depth: 2\ntasks:\n  draft: {executor: x, max_cycles: 4}\n  \
                check:\n    executor: x\n    needs: draft\n    loop: {to: draft, while: not result.good, max: 4}\n  \
                aside: {executor: x, start: on_jump}\n";
    let workflow = Workflow::parse(text, Format::Yaml).expect("a good file");
    let order = workflow.order(Map::new(), "r").expect("an order");
    let options = order.options;
    assert_eq!(
        (options.max_steps, options.max_spawned, options.max_depth),
        (Some(50), Some(0), Some(2))
    );
    let edge = order.tasks[1].loop_edge.as_ref().expect("it has a loop");
    assert_eq!((edge.to.as_deref(), edge.max), (Some("r/draft"), Some(4)));
    assert_eq!(order.tasks[2].start, crate::task::Begins::OnJump);

    let wrong = "tasks:\n  a: {executor: x, loop: {to: b, while: a, most: 3}}\n  b: {executor: x, loop: {max: 2}}\n  \
                 c: {executor: x, loop: {to: d, while: a}}\n";
    let told = Workflow::parse(wrong, Format::Yaml).expect_err("three things are wrong");
    let fields: Vec<_> = told.0.iter().filter_map(|problem| problem.field.as_deref()).collect();
    assert_eq!(fields, ["most", "loop", "loop.to"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_random_damage_is_read_soundly_or_refused_with_reasons(
        damage in proptest::collection::vec(
            (0_usize..10_000, 0_usize..12, "[a-z0-9:{}\\[\\]&*!|>'\"#%@,$. \n\t\u{0}-\u{ff}-]{0,6}"),
            0..6,
        ),
    ) {
        let mut letters: Vec<char> = EXAMPLE.chars().collect();
        for (at, gone, put) in damage {
            let start = at % (letters.len() + 1);
            let end = (start + gone).min(letters.len());
            letters.splice(start..end, put.chars());
        }
        let text: String = letters.into_iter().collect();
        held(&text, Format::Yaml)?;
        held(&text, Format::Json)?;
    }

    #[test]
    fn lines_in_random_order_are_read_soundly_or_refused_with_reasons(
        lines in proptest::sample::subsequence(EXAMPLE.lines().collect::<Vec<_>>(), 0..=16)
            .prop_shuffle(),
    ) {
        held(&lines.join("\n"), Format::Yaml)?;
    }

    #[test]
    fn any_text_is_read_soundly_or_refused(text in "\\PC{0,60}") {
        held(&text, Format::Yaml)?;
        held(&text, Format::Json)?;
    }
}
