//! Claims about reading and compiling submissions.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    code::Code,
    graph::TaskGraph,
    id::Ids,
    problem::{Problem, Problems},
    store::{NeedKind, Submission},
    task::StructureOrder,
};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Ids for Counter {
    fn next(&self) -> String {
        format!("new-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn read(value: &Value) -> Result<Vec<TaskSpec>, Problems> {
    read_tasks(value, &Reading::Lenient).map(|(specs, _)| specs)
}

fn submit(value: &Value) -> Result<Submission, Problems> {
    let order = Order { tasks: read(value)?, ..Order::default() };
    compile(order, &Counter::default(), &Limits::default())
}

fn accepted(value: &Value) -> Submission {
    submit(value).unwrap_or_else(|problems| panic!("refused:\n{problems}"))
}

fn problems(value: &Value) -> Vec<Problem> {
    match submit(value) {
        Ok(_) => panic!("{value} was accepted"),
        Err(Problems(problems)) => problems,
    }
}

/// The only problem there is.
fn problem(value: &Value) -> Problem {
    let mut all = problems(value);
    assert_eq!(all.len(), 1, "{}", Problems(all));
    all.remove(0)
}

fn needs(submission: &Submission, task: usize) -> Vec<(usize, NeedKind)> {
    submission.tasks[task].needs.iter().map(|need| (need.on, need.kind)).collect()
}

#[test]
fn ids_are_kept_verbatim_and_missing_ones_are_made() {
    let stored = accepted(&json!([{"id": "new-0", "name": "a"}, {"name": "b"}]));
    assert_eq!(stored.tasks[0].id.as_str(), "new-0");
    assert_eq!(stored.tasks[1].id.as_str(), "new-1", "a new id meets no given one");
    assert_eq!(stored.trees.len(), 2, "each root has its own tree");
    assert_eq!(stored.trees[0].id.as_str(), "new-0");
}

#[test]
fn a_single_object_is_a_single_task() {
    let stored = accepted(&json!({"name": "a", "task_tree_id": "t", "priority": 0}));
    assert_eq!(stored.trees[0].id.as_str(), "t");
    assert_eq!(stored.tasks[0].definition.priority.get(), 0);
}

#[test]
fn the_readme_forest_compiles() {
    let stored = accepted(&json!([
        {"id": "a", "name": "a"},
        {"id": "b", "name": "b"},
        {"id": "merge", "name": "merge", "parent_id": "a", "dependencies": ["a", {"id": "b"}]},
    ]));
    assert_eq!(needs(&stored, 0), [], "the child depends on it, so it does not wait for the child");
    assert_eq!(needs(&stored, 2), [(0, NeedKind::Required), (1, NeedKind::Required)]);
    assert_eq!((stored.trees.len(), stored.tasks[2].tree), (2, 0));
    let said = &stored.tasks[2].definition.dependencies;
    assert!(said[0].plain && !said[1].plain);
}

#[test]
fn a_parent_waits_softly_unless_structure_says_nothing() {
    let tasks = json!([{"name": "root"}, {"name": "child", "parent_id": "root"}]);
    let stored = accepted(&tasks);
    assert_eq!(needs(&stored, 0), [(1, NeedKind::Structure)]);
    assert!(stored.tasks[0].has_children);
    assert_eq!(stored.tasks[1].parent, Some(0));
    let options = TreeOptions { structure_order: StructureOrder::None, ..TreeOptions::default() };
    let order = Order { tasks: read(&tasks).expect("read before"), options, ..Order::default() };
    let stored = compile(order, &Counter::default(), &Limits::default()).expect("sound");
    assert_eq!(needs(&stored, 0), []);
}

#[test]
fn a_task_that_takes_any_of_several_does_not_wait_for_its_children() {
    let stored = accepted(&json!([
        {"name": "one"}, {"name": "two"},
        {"name": "first", "join": "any", "dependencies": ["one", "two"]},
        {"name": "child", "parent_id": "first"},
        {"name": "alone", "join": "any"},
        {"name": "below", "parent_id": "alone"},
    ]));
    assert_eq!(needs(&stored, 2), [(0, NeedKind::Required), (1, NeedKind::Required)]);
    assert_eq!(needs(&stored, 4), [(5, NeedKind::Structure)]);
    assert_eq!(stored.tasks[4].definition.join, Join::All);
}

#[test]
fn names_become_ids_and_repeated_dependencies_go() {
    let stored = accepted(&json!([
        {"id": "1", "name": "fetch"},
        {"id": "2", "name": "sum", "dependencies": [
            {"name": "fetch", "required": false, "type": "result"}, "1", "fetch",
        ]},
    ]));
    assert_eq!(needs(&stored, 1), [(0, NeedKind::Optional)], "the first one counts");
    let said = &stored.tasks[1].definition.dependencies;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].id.as_str(), "1");
    assert_eq!(said[0].extra.get("type"), Some(&json!("result")), "unknown keys are kept");
}

#[test]
fn duplicate_names_matter_only_to_those_who_use_them() {
    let twice = json!([{"name": "a"}, {"name": "a"}]);
    assert_eq!(accepted(&twice).tasks.len(), 2);
    let used = json!([{"name": "a"}, {"name": "a"}, {"name": "b", "dependencies": ["a"]}]);
    let told = problem(&used);
    assert_eq!(told.code, Code::UnknownReference);
    assert_eq!(told.detail, "Duplicate task name 'a' at index 1");
    assert!(told.hint.is_some_and(|hint| hint.contains("`id`")));
}

#[test]
fn a_loop_is_told_in_the_authors_names() {
    let told = problem(&json!([
        {"id": "1", "name": "a", "dependencies": ["b"]},
        {"id": "2", "name": "b", "dependencies": ["3"]},
        {"id": "3", "name": "c", "dependencies": ["a"]},
    ]));
    assert_eq!(told.code, Code::Cycle);
    assert_eq!(told.path, ["a", "b", "c", "a"]);
    assert!(told.reason.contains("a -> b -> c -> a"), "{}", told.reason);
    assert!(told.detail.starts_with("Circular dependency detected involving task '1'."));
    let own = problem(&json!({"name": "a", "dependencies": ["a"]}));
    assert_eq!(own.path, ["a", "a"]);
    assert_eq!(own.reason, "it waits for itself");
}

#[test]
fn the_v1_texts_are_kept_in_detail() {
    let detail = |value: Value| problem(&value).detail;
    assert_eq!(detail(json!([])), "Tasks array cannot be empty");
    assert_eq!(detail(json!([{"id": "x"}])), "Task at index 0 must have a 'name' field");
    assert_eq!(
        detail(json!([{"id": "x", "name": "a"}, {"id": "x", "name": "b"}])),
        "Duplicate task id 'x' at index 1"
    );
    assert_eq!(
        detail(json!([{"name": "a"}, {"name": "b", "parent_id": "p"}])),
        "Task at index 1 has parent_id 'p' which is not in the task array."
    );
    assert_eq!(
        detail(json!([{"name": "a", "dependencies": ["d"]}])),
        "Task at index 0 has dependency reference 'd' which is not a valid id or name in the task \
         array."
    );
    assert_eq!(
        detail(json!([{"name": "a", "dependencies": [{}]}])),
        "Task at index 0 has dependency reference 'None' which is not a valid id or name in the \
         task array."
    );
    assert_eq!(
        detail(json!([{"name": "a", "task_tree_id": "t"}, {"name": "b", "task_tree_id": "t"}])),
        "Different root tasks cannot share the same task_tree_id"
    );
    assert_eq!(
        detail(json!([{"name": "a", "user_id": "u2"}, {"name": "b", "user_id": "u1"}])),
        "All tasks must have the same user_id. Found multiple user_ids: {'u1', 'u2'}"
    );
}

#[test]
fn parents_in_a_loop_and_trees_without_root_are_refused() {
    let told = problem(&json!([
        {"name": "root"},
        {"name": "x", "parent_id": "y"},
        {"name": "y", "parent_id": "x"},
        {"name": "below", "parent_id": "x"},
    ]));
    assert_eq!(told.code, Code::InvalidParent);
    assert_eq!(told.path, ["x", "y", "x"]);
    let own = problems(&json!([{"name": "a", "parent_id": "a"}]));
    assert_eq!(own.len(), 2);
    assert!(own[0].detail.starts_with("No root task found"), "{}", own[0].detail);
    assert_eq!(own[1].path, ["a", "a"]);
}

#[test]
fn every_problem_is_told_at_once_each_with_task_and_field() {
    let told = problems(&json!([
        {"name": "a", "priority": 7, "inputs": [1], "schedule_start_at": "tomorrow"},
        {"name": "b", "priority": "high", "dependencies": "a", "progress": 2},
        {"id": "c", "dependencies": ["nobody"]},
        {"name": "d", "status": "completed", "timeout_seconds": 0, "max_attempts": 0},
    ]));
    let found: Vec<(&str, &str)> = told
        .iter()
        .map(|one| (one.task.as_deref().unwrap_or(""), one.field.as_deref().unwrap_or("")))
        .collect();
    for expected in [
        ("a", "priority"),
        ("a", "inputs"),
        ("a", "schedule_start_at"),
        ("b", "priority"),
        ("b", "dependencies"),
        ("b", "progress"),
        ("c", "name"),
        ("c", "dependencies[0]"),
        ("d", "status"),
        ("d", "timeout_seconds"),
        ("d", "max_attempts"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is missing in {found:?}");
    }
    assert_eq!(found.len(), 11, "{found:?}");
    assert!(told[0].reason.contains("0 (urgent) to 3 (low)"));
    assert!(told.iter().all(|one| one.expected.is_some() && one.actual.is_some()));
}

#[test]
fn an_element_that_is_no_object_is_named_by_its_place() {
    let told = problem(&json!([{"name": "a"}, "b"]));
    assert_eq!(told.code, Code::InvalidParams);
    assert_eq!(told.task.as_deref(), Some("task at index 1"));
    assert_eq!(problem(&json!("x")).code, Code::InvalidParams);
}

#[test]
fn values_that_no_database_can_hold_are_refused_with_the_way_to_them() {
    let nul = problem(&json!({"name": "a", "inputs": {"x": ["\0"]}}));
    assert_eq!(nul.field.as_deref(), Some("inputs.x[0]"));
    let long = problem(&json!({"name": "a", "params": {"x": "y".repeat(1024 * 1024)}}));
    assert_eq!((long.code, long.field.as_deref()), (Code::TooLarge, Some("params.x")));
    let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
    let told = problem(&json!({"name": "a", "inputs": {"x": deep}}));
    assert_eq!(told.code, Code::TooLarge);
    let deep = (0..63).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(accepted(&json!({"name": "a", "inputs": {"x": deep}})).tasks.len(), 1);
    let name = problem(&json!({"name": "x".repeat(256)}));
    assert!(name.reason.contains("256 characters"), "{}", name.reason);
    let halves: serde_json::Map<String, Value> =
        (0..3).map(|n| (n.to_string(), json!("y".repeat(400_000)))).collect();
    assert_eq!(problem(&json!({"name": "a", "inputs": halves})).field.as_deref(), Some("inputs"));
}

#[test]
fn unknown_fields_warn_are_kept_or_are_refused() {
    let value = json!([{"name": "a", "prioritty": 1, "colour": "red"}, {"name": "b", "colour": 1}]);
    let (specs, warnings) = read_tasks(&value, &Reading::Lenient).expect("lenient");
    assert!(specs[0].extra.is_empty());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("`colour`") && warnings[0].contains("one other"), "{warnings:?}");
    assert!(warnings[1].contains("did you mean `priority`?"), "{warnings:?}");

    let custom = Reading::Custom(vec!["colour".to_owned()]);
    let (specs, warnings) = read_tasks(&value, &custom).expect("custom");
    assert_eq!(specs[0].extra.get("colour"), Some(&json!("red")));
    assert_eq!(warnings.len(), 1);

    let Problems(told) = read_tasks(&value, &Reading::Strict).expect_err("strict");
    assert_eq!(told.len(), 3);
    assert!(told.iter().any(|one| one.hint.as_deref() == Some("did you mean `priority`?")));
}

#[test]
fn a_task_that_was_fetched_can_be_sent_again() {
    let (specs, warnings) = read_tasks(
        &json!({
            "id": "x", "parent_id": null, "task_tree_id": "x", "user_id": null, "name": "a",
            "status": "pending", "priority": 2, "dependencies": [], "inputs": {}, "params": {},
            "result": null, "error": null, "schemas": {}, "progress": 0.0,
            "created_at": "2026-11-20T15:26:11.384408+00:00", "started_at": null,
            "has_children": false, "original_task_id": null, "origin_type": "create",
            "schedule_enabled": false, "run_count": 0, "lease_id": "l", "attempt_id": 3,
            "max_attempts": 3, "backoff_strategy": "exponential", "backoff_base_seconds": 1.0,
        }),
        &Reading::Strict,
    )
    .expect("our own shape");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(specs[0].durability.max_attempts, Some(3));
}

#[test]
fn the_durability_fields_bring_three_attempts() {
    let attempts = |value: Value| accepted(&value).tasks[0].definition.durability.max_attempts;
    assert_eq!(attempts(json!({"name": "a"})), None);
    assert_eq!(attempts(json!({"name": "a", "backoff_strategy": "fixed"})), Some(3));
    assert_eq!(attempts(json!({"name": "a", "backoff_base_seconds": 0})), None);
    assert_eq!(
        attempts(json!({"name": "a", "max_attempts": 5, "backoff_base_seconds": 2})),
        Some(5)
    );
}

#[test]
fn one_owner_owns_the_whole_submission() {
    let tasks = json!([{"name": "r", "user_id": "u1"}, {"name": "c", "parent_id": "r"}]);
    let stored = accepted(&tasks);
    assert!(stored.tasks.iter().all(|task| task.definition.user_id.as_deref() == Some("u1")));
    let nobody = read(&json!({"name": "a"})).expect("sound");
    let order = Order { tasks: nobody, user_id: Some("caller".into()), ..Order::default() };
    let stored = compile(order, &Counter::default(), &Limits::default()).expect("sound");
    assert_eq!(stored.trees[0].user_id.as_deref(), Some("caller"));
}

#[test]
fn a_schedule_that_is_on_says_when() {
    let told = problems(&json!({"name": "a", "schedule_enabled": true, "schedule_type": "hourly"}));
    let fields: Vec<_> = told.iter().filter_map(|one| one.field.as_deref()).collect();
    assert_eq!(fields, ["schedule_type", "schedule_expression"]);
    let ends = json!({
        "name": "a",
        "schedule_start_at": "2026-11-20T00:00:00Z", "schedule_end_at": "2026-11-19T00:00:00Z",
    });
    assert_eq!(problem(&ends).field.as_deref(), Some("schedule_end_at"));
}

#[test]
fn limits_are_held() {
    let limits = Limits { tasks: 3, depth: 2, dependencies: 1 };
    let told = |value: Value| {
        let order = Order { tasks: read(&value).expect("readable"), ..Order::default() };
        let Problems(all) =
            compile(order, &Counter::default(), &limits).expect_err("over the limit");
        assert_eq!(all.len(), 1, "{}", Problems(all));
        all[0].clone()
    };
    let four: Vec<Value> = (0..4).map(|n| json!({"name": n.to_string()})).collect();
    assert_eq!(told(json!(four)).code, Code::TooLarge);
    let deep = json!([
        {"name": "a"}, {"name": "b", "parent_id": "a"}, {"name": "c", "parent_id": "b"},
    ]);
    assert_eq!(told(deep).task.as_deref(), Some("c"));
    let many = json!([{"name": "a"}, {"name": "b"}, {"name": "c", "dependencies": ["a", "b"]}]);
    assert_eq!(told(many).field.as_deref(), Some("dependencies"));
}

#[test]
fn a_hundred_thousand_tasks_compile() {
    let specs = |link: &dyn Fn(usize, &mut TaskSpec)| -> Vec<TaskSpec> {
        (0..100_000)
            .map(|n| {
                let mut spec = TaskSpec { id: Some(n.to_string()), ..TaskSpec::new("t") };
                link(n, &mut spec);
                spec
            })
            .collect()
    };
    let compiled = |tasks| {
        let order = Order { tasks, ..Order::default() };
        compile(order, &Counter::default(), &Limits::default()).expect("sound")
    };
    let wide = compiled(specs(&|n, spec| spec.parent = (n > 0).then(|| "0".to_owned())));
    assert_eq!(wide.tasks[0].needs.len(), 99_999);
    let chain = compiled(specs(&|n, spec| {
        spec.dependencies =
            n.checked_sub(1).map(|on| Reference::required(on.to_string())).into_iter().collect();
    }));
    assert_eq!(chain.tasks[99_999].needs.len(), 1);
    // Groups of ten under a parent each; every group depends on the parent of the one before.
    let groups = compiled(specs(&|n, spec| {
        if !n.is_multiple_of(10) {
            spec.parent = Some((n / 10 * 10).to_string());
            spec.dependencies = (n / 10)
                .checked_sub(1)
                .map(|group| Reference::required((group * 10).to_string()))
                .into_iter()
                .collect();
        }
    }));
    assert_eq!(groups.tasks[0].needs.len(), 9);
    // Every child depends on its parent, which makes a knot of each family.
    let families = compiled(specs(&|n, spec| {
        if !n.is_multiple_of(10) {
            spec.parent = Some((n / 10 * 10).to_string());
            spec.dependencies = vec![Reference::required((n / 10 * 10).to_string())];
        }
    }));
    assert!(families.tasks[0].needs.is_empty());
}

#[test]
fn one_great_knot_is_refused_instead_of_taking_for_ever() {
    // Each parent is depended on by the child of the next, and the root of all by everything.
    let mut specs = vec![TaskSpec { id: Some("root".into()), ..TaskSpec::new("root") }];
    for n in 0..30_000_usize {
        let parent = format!("p{n}");
        let mut group = TaskSpec { id: Some(parent.clone()), ..TaskSpec::new("p") };
        group.parent = Some("root".to_owned());
        group.dependencies = match n.checked_sub(1) {
            Some(before) => vec![Reference::required(format!("p{before}"))],
            None => vec![Reference::required("root")],
        };
        let mut child = TaskSpec { id: Some(format!("c{n}")), ..TaskSpec::new("c") };
        child.parent = Some(parent.clone());
        child.dependencies = vec![Reference::required(parent)];
        specs.extend([group, child]);
    }
    let order = Order { tasks: specs, ..Order::default() };
    let Problems(told) =
        compile(order, &Counter::default(), &Limits::default()).expect_err("a great knot");
    assert_eq!(told[0].field.as_deref(), Some("structure_order"));
}

/// JSON of any shape, with the words of tasks more often than chance would have them.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        proptest::sample::select(TASK_FIELDS).prop_map(str::to_owned),
        proptest::sample::select(vec!["a", "b", "c", "pending", "any", "required", "\0", ""])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_i64..5).prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map(word.clone(), inner, 0..8)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Tasks that are nearly right.
fn nearly() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(vec!["a", "b", "c", "d", "e"]);
    let task = (
        name.clone(),
        proptest::option::of(name.clone()),
        proptest::option::weighted(0.3, name.clone()),
        proptest::collection::vec(name, 0..3),
        proptest::option::weighted(0.1, (proptest::sample::select(TASK_FIELDS), anything())),
    )
        .prop_map(|(name, id, parent, dependencies, wild)| {
            let mut task = json!({
                "name": name, "id": id, "parent_id": parent, "dependencies": dependencies,
            });
            if let Some((field, value)) = wild {
                task[field] = value;
            }
            task
        });
    proptest::collection::vec(task, 0..6).prop_map(Value::from)
}

fn held(value: &Value, reading: &Reading) -> Result<(), TestCaseError> {
    let specs = match read_tasks(value, reading) {
        Ok((specs, _)) => specs,
        Err(Problems(told)) => {
            prop_assert!(!told.is_empty() && told.iter().all(|one| !one.reason.is_empty()));
            return Ok(());
        }
    };
    let order = Order { tasks: specs, ..Order::default() };
    match compile(order, &Counter::default(), &Limits::default()) {
        Ok(stored) => {
            prop_assert!(TaskGraph::of(&stored).order().is_ok());
            let tasks = stored.tasks.len();
            for task in &stored.tasks {
                prop_assert!(task.needs.iter().all(|need| need.on < tasks));
                prop_assert!(task.parent.is_none_or(|parent| parent < tasks));
                prop_assert!(task.tree < stored.trees.len());
                for dependency in &task.definition.dependencies {
                    prop_assert!(stored.tasks.iter().any(|other| other.id == dependency.id));
                }
                let text = serde_json::to_string(&task.definition).expect("plain data");
                let back: crate::task::Definition =
                    serde_json::from_str(&text).expect("its own text");
                prop_assert_eq!(&back, &task.definition);
            }
        }
        Err(Problems(told)) => prop_assert!(!told.is_empty()),
    }
    Ok(())
}

#[test]
fn a_loop_leads_to_an_id_of_the_submission_and_says_what_is_wrong_with_it() {
    let value = json!([
        {"id": "a", "name": "draft", "start": "on_jump"},
        {"id": "b", "name": "b", "dependencies": ["a"], "max_cycles": 4,
         "loop": {"to": "draft", "while": "not result.good", "max": 3}},
        {"id": "c", "name": "c", "loop": {"to": "c", "while": "cycle < 2"}},
    ]);
    let (tasks, _) = read_tasks(&value, &Reading::Strict).expect("good tasks");
    let order = Order { tasks, ..Order::default() };
    let stored = compile(order, &Counter::default(), &Limits::default()).expect("it works out");
    let [a, b, c] = &stored.tasks[..] else { panic!("three tasks") };
    assert_eq!(a.definition.max_cycles, Some(3), "it may go round as often as the loop does");
    assert_eq!(a.definition.start, crate::task::Begins::OnJump);
    let edge = b.definition.loop_edge.as_ref().expect("it has a loop");
    assert_eq!(
        (edge.to.as_deref(), edge.max, b.definition.max_cycles),
        (Some("a"), Some(3), Some(4))
    );
    assert_eq!(c.definition.loop_edge.as_ref().expect("a loop").to, None, "it is its own");

    for (edge, field) in [
        (json!({"to": "nowhere", "while": "true"}), "loop.to"),
        (json!({"while": "1 +"}), "loop.while"),
        (json!({"while": "true", "max": 0}), "loop.max"),
        (json!({"until": "true"}), "loop"),
    ] {
        let value = json!([{"name": "a", "loop": edge}]);
        let told = read_tasks(&value, &Reading::Strict).and_then(|(tasks, _)| {
            let order = Order { tasks, ..Order::default() };
            compile(order, &Counter::default(), &Limits::default())
        });
        let told = told.expect_err(field);
        assert_eq!(told.0[0].field.as_deref(), Some(field), "{told:?}");
    }
    let wrong = json!([{"name": "a", "max_cycles": 0}, {"name": "b", "start": "later"}]);
    let told = read_tasks(&wrong, &Reading::Strict).expect_err("both are wrong");
    assert_eq!(told.0.len(), 2, "{told:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_stored_soundly_or_refused_with_reasons(value in anything()) {
        held(&value, &Reading::Lenient)?;
        held(&value, &Reading::Strict)?;
    }

    #[test]
    fn tasks_that_are_nearly_right_are_stored_soundly_or_refused(value in nearly()) {
        held(&value, &Reading::Lenient)?;
    }
}
