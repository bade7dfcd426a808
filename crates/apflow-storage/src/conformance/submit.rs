//! Putting submissions in, and reading what was put in.

use apflow_core::{
    id::{TaskId, TreeId},
    store::{Idempotency, Page, StoreError, Submission, TaskFilter},
    task::{
        Definition, Durability, Governance, Origin, OriginType, Priority, Schedule, StateName,
        Status,
    },
    time::Timestamp,
};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::{Bed, forest};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

/// Every field of a definition, of a tree and of a task is stored and returned.
pub async fn a_submission_comes_back_as_it_was_written(bed: &Bed) {
    let mut submission = Submission { start: false, ..forest("root; first ^root; last ^root") };
    submission.trees[0].user_id = Some("ada".to_owned());
    submission.trees[0].options.timeout_seconds = Some(1.5);
    let whole = Definition {
        name: "Ünïcödé 任务 🦀 'quoted' \"twice\" \\ \n\t".to_owned(),
        user_id: Some("ada".to_owned()),
        priority: Priority::HIGH,
        dependencies: serde_json::from_value(json!([
            { "id": "first", "plain": true },
            { "id": "root", "required": false, "extra": { "note": ["kept", null] } },
        ]))
        .expect("dependencies"),
        inputs: object(json!({ "url": "https://example.org", "": {}, "list": [1, 2.5, null] })),
        params: object(json!({ "executor_id": "function", "retries": 3 })),
        schemas: object(json!({ "method": "x", "input_schema": { "type": "object" } })),
        timeout_seconds: Some(0.25),
        origin: Origin {
            kind: OriginType::Copy,
            original_task_id: Some(TaskId::new("elsewhere")),
            has_references: true,
        },
        schedule: Schedule {
            schedule_type: Some("cron".to_owned()),
            schedule_expression: Some("0 0 * * *".to_owned()),
            schedule_enabled: true,
            // The store finds it: the next midnight.
            next_run_at: Some(Timestamp(1_700_006_400_000_000)),
            max_runs: Some(7),
            ..Schedule::default()
        },
        durability: Durability {
            max_attempts: Some(3),
            backoff_strategy: Some("linear".to_owned()),
            backoff_base_seconds: Some(0.1),
            ..Durability::default()
        },
        governance: Governance {
            token_usage: Some(json!({ "input": 1 })),
            estimated_cost_usd: Some(0.000_1),
            ..Governance::default()
        },
        placement_constraints: Some(json!({ "gpu": true })),
        extra: object(json!({ "my_field": { "deep": [[[]]] }, "other": null })),
        ..Definition::default()
    };
    submission.tasks[2].definition = whole.clone();
    let before = submission.clone();
    let inserted = bed.store.insert(submission).await.expect("stored");
    assert_eq!(inserted.trees, [TreeId::new("tree-root")]);
    assert_eq!(inserted.roots, [TaskId::new("root")]);
    assert!(!inserted.replayed);

    let record = bed.record("last").await;
    assert_eq!(record.definition, whole);
    assert_eq!(record.tree_id, TreeId::new("tree-root"));
    assert_eq!(record.parent_id, Some(TaskId::new("root")));
    assert!(!record.has_children);
    assert_eq!(record.task.priority, Priority::HIGH);
    assert_eq!(record.task.max_attempts, Some(3));
    assert_eq!(record.task.state.name(), StateName::Created);
    assert_eq!((record.result, record.error, record.worker), (None, None, None));
    assert_eq!(record.resolved_inputs, None);
    assert_eq!(record.created_at, record.updated_at);
    assert!(bed.record("root").await.has_children);

    let run = bed.run("first").await;
    assert_eq!(run.tree.user_id, before.trees[0].user_id);
    assert_eq!(run.tree.options, before.trees[0].options);
    assert_eq!((run.run, run.total, run.running), (0, 3, false));
}

/// JSON is not bent on its way in and out.
pub async fn numbers_text_and_depth_come_back_exactly(bed: &Bed) {
    let mut deep = json!("bottom");
    for level in 0..63 {
        deep = if level % 2 == 0 { json!([deep]) } else { json!({ "k": deep }) };
    }
    let awkward = json!({
        "beyond a double": 9_007_199_254_740_993_i64,
        "least": i64::MIN,
        "most": u64::MAX,
        "floats": [0.1, -0.0, 1e-310, 1.797_693_134_862_315_7e308, 2.5e-8, 5e-324,
            0.300_000_000_000_000_04, 123_456_789.123_456_79, 1e21, 1.0],
        "text": "\u{1}\u{7f}\u{2028}\u{fffd}𐍈 \u{202e}; DROP TABLE af_tasks; --\r\n$1 ?1 :a",
        "": ["", " ", "null", "true", "[1]", "{}"],
        "deep": deep,
        "empty": [{}, [], null, false],
    });
    let mut submission = forest("a");
    submission.tasks[0].definition.inputs = object(awkward.clone());
    submission.tasks[0].definition.extra = object(awkward.clone());
    bed.insert(submission).await;
    let held = bed.claim_one().await;
    assert_eq!(Value::Object(held.definition.inputs.clone()), awkward);
    bed.settle(vec![super::done(&held, awkward.clone())]).await;
    let record = bed.record("a").await;
    assert_eq!(Value::Object(record.definition.extra), awkward);
    assert_eq!(record.result, Some(awkward.clone()));
    assert_eq!(record.result.expect("a result").to_string(), awkward.to_string());
}

/// A subtree is in pre-order, siblings as they were submitted.
pub async fn a_subtree_lists_parents_before_children(bed: &Bed) {
    bed.put("r; a ^r; b ^r; c ^b; d ^a; e ^r; f ^d; other").await;
    let ids = async |root: &str| -> Vec<String> {
        let found = bed.store.subtree(&TaskId::new(root)).await.expect("a subtree");
        found.into_iter().map(|record| record.id.into_string()).collect()
    };
    assert_eq!(ids("r").await, ["r", "a", "d", "f", "b", "c", "e"]);
    assert_eq!(ids("a").await, ["a", "d", "f"]);
    assert_eq!(ids("other").await, ["other"]);
    assert_eq!(ids("nobody").await, [""; 0]);
}

async fn listed(bed: &Bed, filter: TaskFilter) -> String {
    let found = bed.store.list(&filter, Page::default()).await.expect("a list");
    let counts = bed.store.count(&filter).await.expect("counts");
    assert_eq!(counts.total(), found.len() as u64, "list and count agree on {filter:?}");
    let ids: Vec<String> = found.into_iter().map(|record| record.id.into_string()).collect();
    ids.join(" ")
}

/// Lists run backwards in time; the children of one parent are in the order they would run in.
pub async fn lists_are_newest_first_and_children_by_priority(bed: &Bed) {
    bed.put("r; low ^r !3; normal ^r; urgent ^r !0; more ^r").await;
    assert_eq!(listed(bed, TaskFilter::default()).await, "more urgent normal low r");
    let parent_id = Some(TaskId::new("r"));
    let children = TaskFilter { parent_id, ..TaskFilter::default() };
    assert_eq!(listed(bed, children).await, "urgent normal more low");
}

/// Every condition of a filter holds, for the list and for the count.
pub async fn lists_and_counts_follow_the_filter(bed: &Bed) {
    let mut submission = forest("r; a ^r; b ^r; s; c ^s");
    submission.tasks[1].definition.user_id = Some("ada".to_owned());
    submission.tasks[4].definition.user_id = Some("ada".to_owned());
    bed.insert(submission).await;
    let held = bed.claim(10).await;
    assert_eq!(super::bed::ids(&held), ["a", "b", "c"]);
    bed.settle(vec![super::done(&held[0], json!(1)), super::failed(&held[1])]).await;
    let all = TaskFilter::default;

    let root_only = true;
    assert_eq!(listed(bed, TaskFilter { root_only, ..all() }).await, "s r");
    let user_id = Some("ada".to_owned());
    assert_eq!(listed(bed, TaskFilter { user_id: user_id.clone(), ..all() }).await, "c a");
    let tree_id = Some(TreeId::new("tree-s"));
    assert_eq!(listed(bed, TaskFilter { tree_id: tree_id.clone(), ..all() }).await, "c s");
    let statuses = vec![Status::Completed, Status::Failed];
    assert_eq!(listed(bed, TaskFilter { statuses, ..all() }).await, "b a");
    let statuses = vec![Status::InProgress];
    let both = TaskFilter { statuses, user_id: user_id.clone(), ..all() };
    assert_eq!(listed(bed, both).await, "c");
    let ids = vec![TaskId::new("b"), TaskId::new("nobody"), TaskId::new("s")];
    assert_eq!(listed(bed, TaskFilter { ids, ..all() }).await, "s b");
    let parent_id = Some(TaskId::new("r"));
    assert_eq!(listed(bed, TaskFilter { parent_id, user_id, ..all() }).await, "a");
    let parent_id = Some(TaskId::new("nobody"));
    assert_eq!(listed(bed, TaskFilter { parent_id, ..all() }).await, "");
    let tree_id = Some(TreeId::new("nobody"));
    assert_eq!(listed(bed, TaskFilter { tree_id, ..all() }).await, "");

    let counts = bed.store.count(&TaskFilter::default()).await.expect("counts");
    assert_eq!(counts.by_status, [2, 1, 1, 1, 0]);
}

/// Pages lie side by side.
pub async fn a_page_is_a_part_of_the_list(bed: &Bed) {
    bed.put("r; a ^r; b ^r; c ^r; d ^r").await;
    let part = async |parent_id: Option<TaskId>, limit, offset| -> String {
        let filter = TaskFilter { parent_id, ..TaskFilter::default() };
        let found = bed.store.list(&filter, Page { limit, offset }).await.expect("a page");
        let ids: Vec<String> = found.into_iter().map(|record| record.id.into_string()).collect();
        ids.join(" ")
    };
    assert_eq!(part(None, 2, 0).await, "d c");
    assert_eq!(part(None, 2, 4).await, "r");
    assert_eq!(part(None, 2, 5).await, "");
    let parent = Some(TaskId::new("r"));
    assert_eq!(part(parent.clone(), 3, 1).await, "b c d");
    assert_eq!(part(parent, 0, 0).await, "");
}

/// The beginning of an id leads to it, whatever the language of the database thinks of its letters.
pub async fn ids_that_begin_alike_are_found_in_the_order_of_their_bytes(bed: &Bed) {
    let mut submission = forest("a; b; c; d; e; f; g");
    let names = ["ab", "a-b", "aB", "abc", "ab%", "ab\u{e9}", "b"];
    for (task, name) in submission.tasks.iter_mut().zip(names) {
        task.id = TaskId::new(name);
    }
    submission.tasks[3].definition.user_id = Some("ada".to_owned());
    bed.store.insert(submission).await.expect("stored");
    let like = async |beginning: &str, user_id: Option<&str>, limit| -> Vec<String> {
        let found = bed.store.ids_like(beginning, user_id, limit).await.expect("ids");
        found.into_iter().map(TaskId::into_string).collect()
    };
    assert_eq!(like("ab", None, 10).await, ["ab", "ab%", "abc", "ab\u{e9}"]);
    assert_eq!(like("a", None, 3).await, ["a-b", "aB", "ab"]);
    assert_eq!(like("ab", Some("ada"), 10).await, ["abc"]);
    assert_eq!(like("ab\u{e9}", None, 10).await, ["ab\u{e9}"]);
    assert_eq!(like("x", None, 10).await, [""; 0]);
    assert_eq!(like("", None, 10).await, [""; 0]);
}

/// Looking for what is not there is no error.
pub async fn what_is_not_there_is_none(bed: &Bed) {
    let (task, tree) = (TaskId::new("nobody"), TreeId::new("nobody"));
    assert_eq!(bed.store.record(&task).await.expect("an answer"), None);
    assert_eq!(bed.store.run(&task).await.expect("an answer"), None);
    assert_eq!(bed.store.run_of_tree(&tree).await.expect("an answer"), None);
    assert_eq!(bed.store.events(Some(&tree), 0, 10).await.expect("an answer"), []);
    assert_eq!(bed.store.set_aside().await.expect("an answer"), []);
    assert!(bed.claim(10).await.is_empty());
}

/// One submission that cannot be stored does not hold up those that are stored with it.
pub async fn a_taken_id_is_refused_and_the_rest_of_the_commit_stands(bed: &Bed) {
    bed.submit("a").await;
    let texts = ["b; c ^b", "d; a ^d", "e", "c; f ^c"];
    let answers = join_all(texts.map(|text| bed.store.insert(forest(text)))).await;
    let taken = |at: usize, id: &str| matches!(&answers[at], Err(StoreError::DuplicateTask(found)) if found.as_str() == id);
    assert!(answers[2].is_ok() && taken(1, "a"), "{answers:?}");
    // Two want `c`; whichever came first has it.
    let (loser, winner) = if answers[0].is_ok() { (3, "b") } else { (0, "f") };
    assert!(taken(loser, "c"), "{answers:?}");
    let mut all: Vec<String> =
        listed(bed, TaskFilter::default()).await.split(' ').map(str::to_owned).collect();
    all.sort_unstable();
    let mut expected = ["a", "c", "e", winner];
    expected.sort_unstable();
    assert_eq!(all, expected, "nothing of a refused one is left");
}

/// A tree id stands for one tree.
pub async fn a_taken_tree_id_is_refused(bed: &Bed) {
    bed.submit("a").await;
    let mut second = forest("b");
    second.trees[0].id = TreeId::new("tree-a");
    let refused = bed.store.insert(second).await.expect_err("the tree id is taken");
    assert!(matches!(&refused, StoreError::DuplicateTree(id) if id.as_str() == "tree-a"));
    assert_eq!(bed.store.record(&TaskId::new("b")).await.expect("an answer"), None);
}

/// Ids have to differ within a submission as well.
pub async fn an_id_twice_in_one_submission_is_refused(bed: &Bed) {
    let mut twice = forest("a; b ^a; c ^a");
    twice.tasks[2].id = TaskId::new("b");
    let refused = bed.store.insert(twice).await.expect_err("b is there twice");
    assert!(matches!(&refused, StoreError::DuplicateTask(id) if id.as_str() == "b"), "{refused}");
    let mut twice = forest("a; b");
    twice.trees[1].id = TreeId::new("tree-a");
    let refused = bed.store.insert(twice).await.expect_err("the tree is there twice");
    assert!(matches!(&refused, StoreError::DuplicateTree(_)), "{refused}");
    assert_eq!(listed(bed, TaskFilter::default()).await, "");
}

fn keyed(text: &str, owner: &str, key: &str, digest: &str) -> Submission {
    let of = |text: &str| text.to_owned();
    let idempotency = Some(Idempotency { owner: of(owner), key: of(key), digest: of(digest) });
    Submission { idempotency, ..forest(text) }
}

/// The same request gives the same answer, and nothing is stored twice.
pub async fn an_idempotency_key_gives_its_first_answer_again(bed: &Bed) {
    let first = bed.store.insert(keyed("a; b", "", "k", "1")).await.expect("stored");
    assert!(!first.replayed);
    let again = bed.store.insert(keyed("c", "", "k", "1")).await.expect("answered");
    assert!(again.replayed);
    assert_eq!((again.trees, again.roots), (first.trees, first.roots));
    let both = join_all([
        bed.store.insert(keyed("d", "", "j", "1")),
        bed.store.insert(keyed("e", "", "j", "1")),
    ])
    .await;
    let both: Vec<_> = both.into_iter().map(|answer| answer.expect("answered")).collect();
    assert_eq!(both.iter().filter(|answer| answer.replayed).count(), 1, "{both:?}");
    assert_eq!(both[0].roots, both[1].roots);
    assert_eq!(bed.store.count(&TaskFilter::default()).await.expect("counts").total(), 3);
}

/// A key stands for one request.
pub async fn an_idempotency_key_is_not_for_another_request(bed: &Bed) {
    bed.insert(keyed("a", "", "k", "1")).await;
    let refused = bed.store.insert(keyed("b", "", "k", "2")).await.expect_err("another request");
    assert!(matches!(&refused, StoreError::KeyReused { key } if key == "k"), "{refused}");
    assert!(refused.hint().is_some());
    assert_eq!(listed(bed, TaskFilter::default()).await, "a");
}

/// Two owners may choose the same key.
pub async fn an_idempotency_key_belongs_to_its_owner(bed: &Bed) {
    bed.insert(keyed("a", "ada", "k", "1")).await;
    let other = bed.store.insert(keyed("b", "bob", "k", "2")).await.expect("stored");
    assert!(!other.replayed);
    assert_eq!(listed(bed, TaskFilter::default()).await, "b a");
}

/// A key is used up by what it stored, not by what was refused.
pub async fn a_refused_submission_does_not_use_up_its_key(bed: &Bed) {
    bed.insert(forest("a")).await;
    bed.store.insert(keyed("a", "", "k", "1")).await.expect_err("a is taken");
    let stored = bed.store.insert(keyed("b", "", "k", "2")).await.expect("stored");
    assert!(!stored.replayed);
}

/// Size is no reason to store a part.
pub async fn a_large_submission_is_stored_whole(bed: &Bed) {
    let mut text = "root".to_owned();
    for task in 0..3_000 {
        use std::fmt::Write as _;
        write!(text, "; t{task} ^root").expect("a text takes more text");
    }
    bed.submit(&text).await;
    let run = bed.run("root").await;
    assert_eq!((run.total, run.running), (3_001, true));
    assert_eq!(bed.claim(5_000).await.len(), 3_000);
    assert_eq!(bed.state("root").await, StateName::Blocked);
    assert_eq!(
        bed.cancel("root").await,
        apflow_core::store::CancelAnswer::Cancelled { others: 3_000 }
    );
}
