//! New tasks from stored ones: copies, links, archives and mixtures (ruling 11).

use std::{sync::Arc, time::Duration};

use apflow_core::{
    derive::{Derive, DeriveError, Derived, Mode},
    id::TaskId,
    store::{CancelAnswer, Page, Patch, Start, StartScope, StoreError, Submission, TaskFilter},
    task::{OriginType, Outcome, Priority, Record, StateName, Status},
    testing::SeededIds,
    time::Clock as _,
};
use serde_json::json;

use super::{
    Bed,
    bed::ids,
    done,
    effects::{asking, spawn},
    forest,
};

const HOUR: Duration = Duration::from_hours(1);

/// What is asked for most.
fn wish(mode: Mode, task: &str) -> Derive {
    Derive { mode, ..Derive::copy(task) }
}

fn mixed(task: &str, links: &[&str]) -> Derive {
    Derive { links: links.iter().map(|id| TaskId::new(*id)).collect(), ..wish(Mode::Mixed, task) }
}

/// Carries out a wish; the ids of what is new are `prefix-1` and so on.
async fn make(bed: &Bed, prefix: &str, wish: Derive) -> Result<Derived, StoreError> {
    bed.store.derive(wish, Arc::new(SeededIds::new(prefix))).await
}

async fn made(bed: &Bed, prefix: &str, wish: Derive) -> Derived {
    make(bed, prefix, wish).await.expect("it is made")
}

async fn refused(bed: &Bed, wish: Derive) -> DeriveError {
    match make(bed, "refused", wish).await {
        Err(StoreError::Derive(error)) => error,
        other => panic!("it should have been refused: {other:?}"),
    }
}

async fn subtree(bed: &Bed, root: &str) -> Vec<Record> {
    bed.store.subtree(&TaskId::new(root)).await.expect("the tree is read")
}

/// `id:name^parent<dependencies` of everything below a task.
async fn shape(bed: &Bed, root: &str) -> Vec<String> {
    let line = |record: &Record| {
        let parent = record.parent_id.as_ref().map(|id| format!("^{id}")).unwrap_or_default();
        let mut needs = String::new();
        for need in &record.definition.dependencies {
            needs.push('<');
            needs.push_str(need.id.as_str());
        }
        format!("{}:{}{parent}{needs}", record.id, record.definition.name)
    };
    subtree(bed, root).await.iter().map(line).collect()
}

async fn everything(bed: &Bed) -> Vec<Record> {
    let page = Page { limit: Page::MAX, offset: 0 };
    bed.store.list(&TaskFilter::default(), page).await.expect("a list")
}

/// A copy spawns its own tasks when it runs.
pub async fn a_copy_leaves_out_what_was_spawned(bed: &Bed) {
    bed.submit("root; a ^root").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asking(&held, vec![spawn("x; y <x", false)])]).await;
    bed.run_all(&[]).await;
    assert_eq!(shape(bed, "root").await.len(), 4);
    let derived = made(bed, "n", Derive::copy("root")).await;
    let names: Vec<_> = subtree(bed, derived.inserted.roots[0].as_str()).await;
    let names: Vec<_> = names.iter().map(|record| record.definition.name.as_str()).collect();
    assert_eq!(names, ["root", "a"]);
}

/// K25, K26, K28: at any depth, with tree and ids of its own, pending, and the original is left alone.
pub async fn a_copy_begins_anew_and_hangs_together_as_its_source(bed: &Bed) {
    bed.submit("root; a ^root; b ^a; c ^b; d ^c; e ^root <d ?a").await;
    bed.run_all(&[]).await;
    let before = everything(bed).await;
    bed.clock.advance(HOUR);
    let derived = made(bed, "n", Derive::copy("root")).await;
    assert_eq!(derived.inserted.roots, [TaskId::new("n-1")]);
    assert_eq!(derived.inserted.trees[0].as_str(), "n-1", "the tree goes by its root");
    assert_eq!(
        shape(bed, "n-1").await,
        ["n-1:root", "n-2:a^n-1", "n-3:b^n-2", "n-4:c^n-3", "n-5:d^n-4", "n-6:e^n-1<n-5<n-2"]
    );
    for record in subtree(bed, "n-1").await {
        assert_eq!(record.tree_id.as_str(), "n-1");
        assert_eq!(record.task.state.name(), StateName::Created);
        assert_eq!((&record.result, &record.error), (&None, &None));
        assert_eq!((record.task.started_at, record.task.completed_at), (None, None));
        assert!(record.progress == 0.0 && record.created_at == bed.clock.now());
        assert_eq!(record.definition.origin.kind, OriginType::Copy);
        let from = record.definition.origin.original_task_id.expect("it says where from");
        assert_eq!(from.as_str(), record.definition.name);
    }
    let after: Vec<Record> =
        everything(bed).await.into_iter().filter(|record| record.id.as_str().len() < 5).collect();
    let old: Vec<&Record> =
        after.iter().filter(|record| !record.id.as_str().contains('-')).collect();
    assert_eq!(old, before.iter().collect::<Vec<_>>(), "the original is untouched");

    bed.start("n-1").await.expect("the copy runs");
    let rounds = bed.run_all(&[]).await;
    assert_eq!(rounds, [["n-5"], ["n-4"], ["n-3"], ["n-2"], ["n-6"], ["n-1"]]);
    assert_eq!(bed.run("root").await.run, 1, "nobody ran the original");
}

/// A copy has what the caller wrote, not what a run made of it, and fields that are reset.
pub async fn a_copy_has_the_callers_inputs_and_the_fields_that_are_reset(bed: &Bed) {
    let mut submission = forest("a; b ^a <c; c ^a");
    submission.tasks[1].definition.inputs.insert("own".to_owned(), json!(1));
    submission.tasks[1].definition.schedule.schedule_type = Some("daily".to_owned());
    submission.tasks[1].definition.durability.resume_from = Some("there".to_owned());
    bed.insert(submission).await;
    let held = bed.claim(10).await;
    let mut report = done(&held[0], json!({ "from": "c" }));
    report.resolved_inputs = json!({ "own": 1, "c": { "from": "c" } }).as_object().cloned();
    bed.settle(vec![report]).await;
    bed.run_all(&[]).await;
    let reset = Patch {
        priority: Some(Priority::URGENT),
        definition: json!({ "schedule": { "max_runs": 3 }, "timeout_seconds": 5 })
            .as_object()
            .cloned()
            .expect("an object"),
        ..Patch::default()
    };
    let user_id = Some("somebody".to_owned());
    made(bed, "n", Derive { reset, user_id, ..Derive::copy("a") }).await;
    let copy = bed.record("n-2").await;
    assert_eq!(json!(copy.visible_inputs()), json!({ "own": 1 }));
    assert_eq!(copy.resolved_inputs, None);
    for record in subtree(bed, "n-1").await {
        assert_eq!(record.definition.priority, Priority::URGENT);
        assert_eq!(record.definition.timeout_seconds, Some(5.0));
        assert_eq!(record.definition.user_id.as_deref(), Some("somebody"));
    }
    assert_eq!(copy.definition.schedule.schedule_type.as_deref(), Some("daily"));
    assert_eq!(copy.definition.schedule.max_runs, Some(3));
    assert_eq!(copy.definition.durability.resume_from, None, "it resumes nothing");
}

/// Alone, a task hangs under nothing and waits for nothing.
pub async fn a_task_alone_is_made_without_parent_and_dependencies(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; below ^b").await;
    bed.run_all(&[]).await;
    for (mode, prefix) in [(Mode::Copy, "c"), (Mode::Link, "l")] {
        made(bed, prefix, Derive { recursive: false, ..wish(mode, "b") }).await;
        assert_eq!(shape(bed, &format!("{prefix}-1")).await, [format!("{prefix}-1:b")]);
        assert!(!bed.record(&format!("{prefix}-1")).await.has_children);
    }
}

/// What leads out of a subtree is refused in a known sentence, or taken along with what connects it.
pub async fn a_dependency_beside_the_subtree_is_refused_or_taken_along(bed: &Bed) {
    bed.submit(
        "root; part ^root; x ^part; x1 ^x <y1; y ^part; y1 ^y <z; y2 ^y; z ^part; far ^root",
    )
    .await;
    bed.run_all(&[]).await;
    for mode in [Mode::Copy, Mode::Link, Mode::Archive] {
        assert_eq!(
            refused(bed, wish(mode, "x")).await.to_string(),
            "Task 'x1' (id: x1) has dependency on task 'y1' which is outside the subtree rooted \
             at 'x' (id: x). Cannot copy/archive a subtree with external dependencies."
        );
    }
    let strict = Derive { auto_include_deps: Some(false), ..mixed("x", &["x"]) };
    assert!(matches!(refused(bed, strict).await, DeriveError::Outside(_)));

    made(bed, "n", Derive { auto_include_deps: Some(true), ..Derive::copy("x") }).await;
    // As far up as where they meet, and nothing besides.
    assert_eq!(
        shape(bed, "n-1").await,
        ["n-1:part", "n-2:x^n-1", "n-3:x1^n-2<n-5", "n-4:y^n-1", "n-5:y1^n-4<n-6", "n-6:z^n-1"]
    );
    made(bed, "m", mixed("x", &["y1"])).await;
    assert_eq!(
        shape(bed, "m-1").await,
        ["m-1:part", "m-2:x^m-1", "m-3:x1^m-2<m-5", "m-4:y^m-1", "m-5:y1^m-4"],
        "a link needs nothing more"
    );
}

/// Tasks that depend on what is taken come along where that is asked for.
pub async fn what_depends_on_the_tasks_comes_along_if_it_is_asked_for(bed: &Bed) {
    bed.put("root; a ^root; b ^root <a; c ^root <b; d ^root").await;
    made(bed, "n", Derive { include_dependents: true, ..Derive::copy("a") }).await;
    assert_eq!(
        shape(bed, "n-1").await,
        ["n-1:root", "n-2:a^n-1", "n-3:b^n-1<n-2", "n-4:c^n-1<n-3"]
    );
}

/// What a root depends on in other trees of its submission becomes trees of the copy.
pub async fn dependencies_across_the_trees_of_a_submission_are_taken_along(bed: &Bed) {
    bed.put("a; b; under ^b; merge ^a <a <under; other").await;
    let derived = made(bed, "n", Derive::copy("a")).await;
    assert_eq!(ids_of(&derived), ["n-1", "n-3"]);
    assert_eq!(shape(bed, "n-1").await, ["n-1:a", "n-2:merge^n-1<n-1<n-3"]);
    assert_eq!(shape(bed, "n-3").await, ["n-3:under"], "no more of the other tree than is needed");
    bed.start("n-1").await.expect("it starts");
    let ran = bed.run_all(&[]).await.concat();
    assert_eq!(ran.len(), 3, "{ran:?}");
}

fn ids_of(derived: &Derived) -> Vec<&str> {
    derived.inserted.roots.iter().map(TaskId::as_str).collect()
}

/// Whoever reads a link sees what its original says, but for what is the link's own.
pub async fn a_link_answers_with_what_its_original_says(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    let large = "x".repeat(3 << 20);
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[0], json!({ "large": large }))]).await;
    bed.clock.advance(HOUR);
    bed.run_all(&[]).await;
    bed.clock.advance(HOUR);
    made(bed, "l", wish(Mode::Link, "root")).await;
    assert_eq!(shape(bed, "l-1").await, ["l-1:root", "l-2:a^l-1", "l-3:b^l-1<l-2"]);
    let run = bed.run("l-1").await;
    assert_eq!((run.outcome, run.running, run.completed), (Some(Outcome::Completed), false, 3));
    for (link, original) in [("l-1", "root"), ("l-2", "a"), ("l-3", "b")] {
        let (link, original) = (bed.record(link).await, bed.record(original).await);
        assert_eq!(link.result, original.result);
        assert_eq!(link.task.state, original.task.state);
        assert_eq!(link.task.started_at, original.task.started_at);
        assert_eq!(link.task.completed_at, original.task.completed_at);
        assert_eq!((link.progress, link.created_at), (original.progress, bed.clock.now()));
        assert_eq!(link.updated_at, link.created_at);
        assert_eq!(link.tree_id.as_str(), "l-1");
        assert_eq!(link.definition.origin.kind, OriginType::Link);
        assert_eq!(link.definition.origin.original_task_id.as_ref(), Some(&original.id));
        assert!(original.definition.origin.has_references);
        assert!(!link.definition.origin.has_references);
    }
    // The same in lists, in counts, and after the original has changed.
    let patch = Patch {
        name: Some("renamed".to_owned()),
        result: Some(Some(json!({ "new": true }))),
        ..Patch::default()
    };
    bed.update("b", patch).await.expect("an original may change");
    let filter = TaskFilter { ids: vec!["l-3".into()], ..TaskFilter::default() };
    let listed = bed.store.list(&filter, Page::default()).await.expect("a list");
    assert_eq!(listed, [bed.record("l-3").await]);
    assert_eq!(listed[0].result, Some(json!({ "new": true })));
    assert_eq!(listed[0].definition.name, "renamed");
    assert_eq!(subtree(bed, "l-1").await[2], listed[0]);
    let children = TaskFilter { parent_id: Some("l-1".into()), ..TaskFilter::default() };
    let below = bed.store.list(&children, Page::default()).await.expect("a list");
    assert!(below.contains(&listed[0]), "{below:?}");
    bed.begin("root", true).await.expect("the original runs again");
    let pending = TaskFilter {
        statuses: vec![Status::Pending],
        tree_id: Some("l-1".into()),
        ..TaskFilter::default()
    };
    assert_eq!(bed.store.count(&pending).await.expect("counts").total(), 3);
    assert_eq!(bed.store.list(&pending, Page::default()).await.expect("a list").len(), 3);
    assert_eq!(bed.states("l-1 l-2 l-3").await, bed.states("root a b").await);
    bed.run_all(&[]).await;
    assert_eq!(bed.record("l-3").await.result, Some(json!({ "of": "b" })));
}

/// However many links lie in between, each points at the task that did the work.
pub async fn a_link_or_copy_of_a_link_is_one_of_the_original(bed: &Bed) {
    let mut submission = forest("a; b ^a");
    submission.tasks[1].definition.inputs.insert("n".to_owned(), json!(7));
    bed.insert(submission).await;
    bed.run_all(&[]).await;
    made(bed, "x", wish(Mode::Link, "a")).await;
    made(bed, "y", wish(Mode::Link, "x-1")).await;
    made(bed, "z", wish(Mode::Copy, "y-1")).await;
    let original = |record: &Record| record.definition.origin.original_task_id.clone();
    let link = bed.record("y-2").await;
    assert_eq!(original(&link), Some("b".into()));
    assert_eq!(link.result, Some(json!({ "of": "b" })));
    let copy = bed.record("z-2").await;
    assert_eq!((original(&copy), copy.result), (Some("b".into()), None));
    assert_eq!(copy.definition.inputs.get("n"), Some(&json!(7)), "what the author of b said");
    assert_eq!(copy.definition.origin.kind, OriginType::Copy);
    bed.start("z-1").await.expect("it runs");
    assert_eq!(bed.run_all(&[]).await, [["z-2"], ["z-1"]]);
}

/// P20: what is not done has nothing to answer with.
pub async fn only_what_completed_is_linked_or_archived(bed: &Bed) {
    bed.submit("root; a ^root; b ^a; c ^root").await;
    assert_eq!(ids(&bed.claim(1).await), ["b"]);
    bed.put("never").await;
    let text = "Only a fully completed task tree can be linked. There are unfinished tasks in the \
                tree.";
    for mode in [Mode::Link, Mode::Archive] {
        for task in ["root", "a", "b", "c", "never"] {
            for recursive in [true, false] {
                let error = refused(bed, Derive { recursive, ..wish(mode, task) }).await;
                assert_eq!(error.to_string(), text, "{mode:?} of {task}");
            }
        }
    }
    assert_eq!(refused(bed, mixed("root", &["c"])).await.to_string(), text);
    assert_eq!(everything(bed).await.len(), 5, "nothing was stored");
    let missing = make(bed, "n", wish(Mode::Copy, "nobody")).await;
    assert!(matches!(missing, Err(StoreError::NoSuchTask(id)) if id.as_str() == "nobody"));
    let stray = refused(bed, mixed("a", &["elsewhere"])).await;
    assert_eq!(stray.to_string(), "Task elsewhere not found");
}

/// Whatever is tried on `task`, it is refused and the task is as it was.
async fn stays_as_it_is(bed: &Bed, task: &str, kind: OriginType) {
    let before = bed.record(task).await;
    let id = TaskId::new(task);
    let fixed =
        |error: &StoreError| matches!(error, StoreError::Fixed { kind: is, .. } if *is == kind);
    for patch in [
        Patch { name: Some("new".to_owned()), ..Patch::default() },
        Patch { result: Some(None), ..Patch::default() },
        Patch { status: Some(Status::Pending), ..Patch::default() },
        Patch { dependencies: Some(Vec::new()), ..Patch::default() },
    ] {
        let error = bed.update(task, patch.clone()).await.expect_err("it does not change");
        assert!(fixed(&error), "{patch:?}: {error:?}");
    }
    let error = bed.store.delete(&id).await.expect_err("it stays");
    assert!(fixed(&error), "{error:?}");
    let error = bed.begin(task, true).await.expect_err("it is not run again");
    assert!(fixed(&error), "{error:?}");
    assert_eq!(bed.cancel(task).await, CancelAnswer::AlreadyEnded(Status::Completed));
    assert_eq!(bed.record(task).await, before);
}

/// K27: a link cannot be changed, and running it runs nothing.
pub async fn a_link_does_not_change_and_runs_nothing(bed: &Bed) {
    bed.submit("root; a ^root").await;
    bed.run_all(&[]).await;
    made(bed, "l", wish(Mode::Link, "root")).await;
    for link in ["l-1", "l-2"] {
        stays_as_it_is(bed, link, OriginType::Link).await;
        let started = bed.start(link).await.expect("it is done already");
        assert_eq!((started.tasks, started.root.as_str()), (0, "l-1"));
    }
    assert!(bed.claim(10).await.is_empty());
    assert_eq!(bed.run("l-1").await.run, 0);
}

/// K27, P20: an archive is kept for good, in its place.
pub async fn an_archive_does_not_change(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    bed.run_all(&[]).await;
    let before = subtree(bed, "root").await;
    let derived = made(bed, "n", wish(Mode::Archive, "root")).await;
    assert_eq!(ids_of(&derived), ["root"]);
    assert_eq!(derived.inserted.trees[0].as_str(), "tree-root");
    let after = subtree(bed, "root").await;
    for (mut before, after) in before.into_iter().zip(after) {
        assert_eq!(after.definition.origin.kind, OriginType::Archive);
        before.definition.origin.kind = OriginType::Archive;
        assert_eq!(after, before, "nothing else is different");
    }
    for task in ["root", "a", "b"] {
        stays_as_it_is(bed, task, OriginType::Archive).await;
        assert!(matches!(bed.start(task).await, Err(StoreError::Fixed { .. })));
    }
    made(bed, "again", wish(Mode::Archive, "root")).await;
    made(bed, "c", wish(Mode::Copy, "root")).await;
    made(bed, "l", wish(Mode::Link, "a")).await;
    assert_eq!(bed.record("l-1").await.result, Some(json!({ "of": "a" })));
    bed.start("c-1").await.expect("a copy of it runs");
    assert_eq!(bed.run_all(&[]).await.concat().len(), 3);
}

/// A part that is archived stays while the rest of its tree is run again.
pub async fn an_archived_part_stays_while_the_rest_runs_again(bed: &Bed) {
    bed.submit("root; a ^root; below ^a; b ^root <a").await;
    bed.run_all(&["b"]).await;
    made(bed, "n", Derive { recursive: false, ..wish(Mode::Archive, "a") }).await;
    assert_eq!(bed.record("below").await.definition.origin.kind, OriginType::Create);
    let before = bed.record("a").await;
    bed.start("root").await.expect("the rest runs");
    assert_eq!(bed.run_all(&[]).await, [["b"], ["root"]]);
    bed.begin("root", true).await.expect("all of it runs again");
    let held = bed.claim(10).await;
    let b = held.iter().find(|held| held.id.as_str() == "b").expect("b waits for nobody");
    assert_eq!(b.needs[0].result.as_deref(), Some(&json!({ "of": "a" })));
    bed.settle(held.iter().map(|held| done(held, json!(1))).collect()).await;
    assert_eq!(bed.run_all(&[]).await, [["root"]]);
    assert_eq!(bed.record("a").await, before);
}

/// C11: each node as it was asked for; copies get the results of the originals of links.
pub async fn a_mixed_tree_runs_its_copies_with_the_results_of_its_links(bed: &Bed) {
    let mut submission = forest("root; a ^root; deep ^a; b ^root <a; c ^b <deep");
    submission.tasks[1].definition.params.insert("executor_id".to_owned(), json!("worker"));
    bed.insert(submission).await;
    bed.run_all(&[]).await;
    made(bed, "m", mixed("root", &["a", "deep"])).await;
    assert_eq!(
        shape(bed, "m-1").await,
        ["m-1:root", "m-2:a^m-1", "m-3:deep^m-2", "m-4:b^m-1<m-2", "m-5:c^m-4<m-3"]
    );
    let kinds: Vec<OriginType> =
        subtree(bed, "m-1").await.iter().map(|each| each.definition.origin.kind).collect();
    let (link, copy) = (OriginType::Link, OriginType::Copy);
    assert_eq!(kinds, [copy, link, link, copy, copy], "a link does not colour what follows it");
    assert_eq!(
        bed.states("m-1 m-2 m-3 m-4 m-5").await,
        "created completed completed created created"
    );
    for again in [false, true] {
        let started = bed.begin("m-1", again).await.expect("it starts");
        assert_eq!(started.tasks, 3, "links do not run");
        let held = bed.claim(10).await;
        assert_eq!(ids(&held), ["m-5"]);
        assert_eq!(held[0].needs[0].id.as_str(), "m-3");
        assert_eq!(held[0].needs[0].result.as_deref(), Some(&json!({ "of": "deep" })));
        let held = bed.settle_and_claim(vec![done(&held[0], json!(1))], 10).await.claimed;
        assert_eq!(ids(&held), ["m-4"]);
        assert_eq!(held[0].needs[0].executor.as_deref(), Some("worker"));
        assert!(held[0].needs[0].completed);
        assert_eq!(held[0].needs[0].result.as_deref(), Some(&json!({ "of": "a" })));
        bed.settle(vec![done(&held[0], json!(1))]).await;
        assert_eq!(bed.run_all(&[]).await, [["m-1"]]);
        let run = bed.run("m-1").await;
        assert_eq!((run.outcome, run.completed), (Some(Outcome::Completed), 5));
    }
    assert_eq!(bed.run("root").await.run, 1);
    let error = bed.store.delete(&"m-1".into()).await.expect_err("it has run");
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");
}

/// A parent that is copied waits for the children of a child that is linked.
pub async fn a_copied_parent_waits_for_copies_below_a_link(bed: &Bed) {
    bed.submit("root; a ^root; b ^a").await;
    bed.run_all(&[]).await;
    made(bed, "m", mixed("root", &["a"])).await;
    bed.start("m-1").await.expect("it starts");
    assert_eq!(bed.run_all(&[]).await, [["m-3"], ["m-1"]]);
}

/// While a tree that links to it runs, an original is not run again, and the other way round.
pub async fn an_original_is_not_run_again_while_its_links_are_read(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    bed.run_all(&[]).await;
    made(bed, "m", mixed("root", &["a"])).await;
    bed.start("m-1").await.expect("it starts");
    let error = bed.begin("root", true).await.expect_err("it is being read");
    assert!(matches!(&error, StoreError::AlreadyRunning { root } if root.as_str() == "m-1"));
    bed.run_all(&[]).await;
    bed.begin("root", true).await.expect("nobody reads it now");
    let error = bed.begin("m-1", true).await.expect_err("there is no result now");
    assert!(matches!(&error, StoreError::UnfinishedOriginal { link } if link.as_str() == "m-2"));
    bed.run_all(&["a"]).await;
    let error = bed.begin("m-1", true).await.expect_err("there is none any more");
    assert!(matches!(error, StoreError::UnfinishedOriginal { .. }), "{error:?}");
    bed.start("root").await.expect("it is tried again");
    bed.run_all(&[]).await;
    bed.begin("m-1", true).await.expect("now there is one");
    bed.run_all(&[]).await;
    assert_eq!(bed.run("m-1").await.outcome, Some(Outcome::Completed));
}

/// 3.5: what others link to is not deleted.
pub async fn what_is_linked_to_cannot_be_deleted(bed: &Bed) {
    bed.submit("root; a ^root").await;
    bed.run_all(&[]).await;
    made(bed, "l", Derive { recursive: false, ..wish(Mode::Link, "a") }).await;
    // It fails when it is run again, and is set back: pending, and linked to.
    bed.begin("a", true).await.expect("it runs");
    bed.run_all(&["a"]).await;
    bed.set_status("a", Status::Pending).await.expect("set back");
    assert_eq!(bed.state("l-1").await, StateName::Created, "the link says so too");
    let error = bed.store.delete(&"a".into()).await.expect_err("it is linked to");
    assert_eq!(
        error.to_string(),
        "Cannot delete task: task has dependent tasks and cannot be deleted"
    );
}

/// Retention takes the links first, and what they link to after them.
pub async fn what_is_linked_to_is_not_pruned_before_its_links(bed: &Bed) {
    for id in ["old", "other"] {
        bed.submit(&format!("{id}; {id}-a ^{id}")).await;
        bed.run_all(&[]).await;
        bed.clock.advance(HOUR);
    }
    made(bed, "l", wish(Mode::Link, "old")).await;
    let between = bed.clock.now();
    bed.clock.advance(HOUR);
    let prune = async |before, limit| bed.store.prune(before, limit).await.expect("pruned");
    // The oldest one is kept and does not hold up the others.
    assert_eq!(prune(between, 1).await, 2, "a submission goes whole");
    assert_eq!(prune(between, 100).await, 0);
    assert_eq!(bed.states("old old-a l-1 l-2").await, "completed completed completed completed");
    let later = bed.clock.now();
    let mut gone = Vec::new();
    while gone.last() != Some(&0) {
        gone.push(prune(later, 100).await);
    }
    assert_eq!(gone, [2, 2, 0], "the links, then what they linked to");
    assert!(everything(bed).await.is_empty());
}

/// B3: a link never lets somebody see what is not theirs; a copy may be made for somebody else.
pub async fn nobody_gets_a_link_to_a_task_of_somebody_else(bed: &Bed) {
    let mut submission = forest("a; b ^a");
    for task in &mut submission.tasks {
        task.definition.user_id = Some("u1".to_owned());
    }
    submission.trees[0].user_id = Some("u1".to_owned());
    bed.insert(submission).await;
    bed.run_all(&[]).await;
    let user_id = Some("u2".to_owned());
    for wish in [wish(Mode::Link, "a"), mixed("a", &["b"])] {
        let error = refused(bed, Derive { user_id: user_id.clone(), ..wish }).await;
        assert_eq!(error.to_string(), "Deny linking to a different user's task.");
    }
    made(bed, "l", wish(Mode::Link, "a")).await;
    assert_eq!(bed.record("l-2").await.definition.user_id.as_deref(), Some("u1"));
    made(bed, "c", Derive { user_id, ..wish(Mode::Copy, "a") }).await;
    assert_eq!(bed.record("c-2").await.definition.user_id.as_deref(), Some("u2"));
    let of = |user: &str| TaskFilter { user_id: Some(user.to_owned()), ..TaskFilter::default() };
    assert_eq!(bed.store.count(&of("u1")).await.expect("counts").total(), 4);
    assert_eq!(bed.store.count(&of("u2")).await.expect("counts").total(), 2);
    let listed = bed.store.list(&of("u2"), Page::default()).await.expect("a list");
    assert_eq!(listed.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["c-2", "c-1"]);
}

/// A preview says what would be stored and stores nothing.
pub async fn a_preview_stores_nothing(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    bed.run_all(&[]).await;
    let before = everything(bed).await;
    for wished in [wish(Mode::Copy, "root"), wish(Mode::Link, "root"), mixed("root", &["a"])] {
        let preview = Derive { preview: true, ..wished.clone() };
        let said = made(bed, "p", preview).await.preview.expect("a preview");
        assert_eq!(everything(bed).await, before);
        // Under other ids it is what is stored then.
        let prefix = format!("s{}", wished.mode.as_str());
        made(bed, &prefix, wished).await;
        let stored = subtree(bed, &format!("{prefix}-1")).await;
        assert_eq!(said.len(), stored.len());
        for (said, stored) in said.iter().zip(&stored) {
            assert_eq!(said.id.as_str().replace('p', &prefix), stored.id.as_str());
            assert_eq!(said.result, stored.result);
            assert_eq!(said.task.state, stored.task.state);
            assert_eq!(said.definition.name, stored.definition.name);
            assert_eq!(said.definition.origin, stored.definition.origin);
            assert_eq!(said.definition.dependencies.len(), stored.definition.dependencies.len());
        }
        bed.clock.advance(HOUR);
        // What was stored for comparison goes again, so that the next round begins as this one did.
        forget(bed, &prefix).await;
    }
    let preview = Derive { preview: true, ..wish(Mode::Archive, "root") };
    let said = made(bed, "p", preview).await.preview.expect("a preview");
    assert!(said.iter().all(|each| each.definition.origin.kind == OriginType::Archive));
    assert_eq!(said.len(), 3);
    assert_eq!(everything(bed).await, before);
}

async fn forget(bed: &Bed, prefix: &str) {
    let root = TaskId::new(format!("{prefix}-1"));
    if bed.record(root.as_str()).await.definition.origin.kind == OriginType::Link {
        // Nothing but time takes a link away, and the originals are as old.
        let links = bed.run(root.as_str()).await.finished_at.expect("a link is done");
        let original = bed.run("root").await.finished_at.expect("it has ended");
        assert!(links > original);
        bed.store.prune(bed.clock.now(), 3).await.expect("the links go");
        return;
    }
    if prefix == "smixed" {
        bed.start(root.as_str()).await.expect("it runs");
        bed.run_all(&[]).await;
        bed.clock.advance(HOUR);
        bed.store.prune(bed.clock.now(), 3).await.expect("the mixture goes");
        return;
    }
    bed.store.delete(&root).await.expect("a copy that never ran can be deleted");
}

/// Whatever becomes of two wishes at once, nothing links to what is running again.
pub async fn a_link_and_a_new_run_of_its_original_do_not_meet(bed: &Bed) {
    bed.submit("root; a ^root").await;
    bed.run_all(&[]).await;
    for round in 0..10 {
        let start = Start {
            task: "root".into(),
            scope: StartScope::Auto,
            reexecute: true,
            callback: None,
            demo: false,
        };
        let prefix = format!("r{round}");
        let (linked, started) =
            tokio::join!(make(bed, &prefix, wish(Mode::Link, "root")), bed.store.start(start),);
        started.expect("nothing runs that reads it");
        match linked {
            Ok(_) => {}
            Err(StoreError::Derive(DeriveError::Unfinished { .. })) => {}
            Err(other) => panic!("{other:?}"),
        }
        bed.run_all(&[]).await;
    }
}

/// A submission that is refused leaves nothing behind.
pub async fn what_cannot_be_stored_is_not_stored_in_part(bed: &Bed) {
    bed.submit("root; a ^root; b ^a").await;
    bed.run_all(&[]).await;
    bed.insert(Submission { start: false, ..forest("n-2") }).await;
    // The second of three new ids is taken.
    let error = make(bed, "n", wish(Mode::Link, "root")).await.expect_err("an id is taken");
    assert!(matches!(&error, StoreError::DuplicateTask(id) if id.as_str() == "n-2"), "{error:?}");
    assert_eq!(everything(bed).await.len(), 4);
    assert!(!bed.record("a").await.definition.origin.has_references);
}
