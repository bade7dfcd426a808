//! What is made of random submissions, and what a copy leaves behind.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::{
    id::TaskId,
    store::NeedKind,
    task::{Dependency, Durability, Governance, LoopEdge},
    testing::SeededIds,
};

/// Parents and dependencies by index; whoever comes later may hang under and wait for earlier ones.
#[derive(Debug, Clone)]
struct Sketch {
    parents: Vec<Option<usize>>,
    needs: Vec<BTreeMap<usize, bool>>,
    completed: Vec<bool>,
}

fn sketches() -> impl Strategy<Value = Sketch> {
    prop::collection::vec(
        (
            prop::option::weighted(0.85, any::<prop::sample::Index>()),
            prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3),
            prop::bool::weighted(0.9),
        ),
        1..60,
    )
    .prop_map(|rows| {
        let (mut parents, mut needs, mut completed) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (parent, on, done)) in rows.into_iter().enumerate() {
            parents.push(parent.filter(|_| at > 0).map(|parent| parent.index(at)));
            let on = on.into_iter().filter(|_| at > 0);
            needs.push(on.map(|(on, required)| (on.index(at), required)).collect());
            completed.push(done);
        }
        Sketch { parents, needs, completed }
    })
}

fn sources(sketch: &Sketch) -> Sources {
    let root = |at: usize| {
        let mut root = at;
        while let Some(parent) = sketch.parents[root] {
            root = parent;
        }
        root
    };
    let tasks = (0..sketch.parents.len())
        .map(|at| Source {
            id: TaskId::new(format!("t{at}")),
            tree: root(at),
            parent: sketch.parents[at],
            definition: Definition {
                name: format!("name {at}"),
                user_id: Some("u".to_owned()),
                dependencies: sketch.needs[at]
                    .iter()
                    .map(|(on, required)| Dependency {
                        id: TaskId::new(format!("t{on}")),
                        required: *required,
                        plain: false,
                        extra: Map::new(),
                    })
                    .collect(),
                ..Definition::default()
            },
            completed: sketch.completed[at],
            spawned: 0,
        })
        .collect();
    Sources { tasks, options: TreeOptions::default() }
}

fn new(made: Made) -> New {
    match made {
        Made::New(new) => new,
        Made::Archived(_) => panic!("no archive was asked for"),
    }
}

/// The source of a new task, by its name.
fn from(name: &str) -> usize {
    name.strip_prefix("name ").and_then(|at| at.parse().ok()).expect("a name of these tests")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_copy_is_isomorphic_shares_no_id_and_waits_for_nothing_outside(
        sketch in sketches(),
        start in any::<prop::sample::Index>(),
        include_dependents in any::<bool>(),
        linked in prop::collection::btree_set(0_usize..60, 0..6),
    ) {
        let sources = sources(&sketch);
        let start = start.index(sources.tasks.len());
        let wish = Derive {
            auto_include_deps: Some(true),
            include_dependents,
            ..Derive::copy(sources.tasks[start].id.clone())
        };
        let copy = new(derive(&sources, &wish, &SeededIds::new("n")).expect("a copy"));
        let tasks = &copy.submission.tasks;
        prop_assert!(copy.links.iter().all(Option::is_none));

        let old: BTreeSet<&TaskId> = sources.tasks.iter().map(|source| &source.id).collect();
        let ids: BTreeSet<&TaskId> = tasks.iter().map(|task| &task.id).collect();
        prop_assert_eq!(ids.len(), tasks.len());
        prop_assert!(ids.is_disjoint(&old));
        let at: BTreeMap<usize, usize> = tasks
            .iter()
            .enumerate()
            .map(|(index, task)| (from(&task.definition.name), index))
            .collect();
        prop_assert_eq!(at.len(), tasks.len(), "each is taken once");
        prop_assert_eq!(tasks[0].tree, 0);
        for (source, below) in select::below(&sources.tasks, start).into_iter().enumerate() {
            prop_assert!(!below || at.contains_key(&source), "{source} hangs below and is missing");
        }
        // Above the first task there are only those that connect: they need not be whole.
        let connects = |source: usize| {
            let mut above = select::below(&sources.tasks, source);
            above[source] = false;
            at.keys().any(|taken| above[*taken])
        };
        for (source, index) in &at {
            let task = &tasks[*index];
            let parent = sketch.parents[*source].and_then(|parent| at.get(&parent)).copied();
            prop_assert_eq!(task.parent, parent);
            let root = &copy.submission.trees[task.tree];
            prop_assert_eq!(root.id.as_str(), tasks[root.root].id.as_str());
            let mapped: BTreeMap<usize, bool> = task
                .definition
                .dependencies
                .iter()
                .map(|entry| {
                    let on = tasks.iter().find(|task| task.id == entry.id).expect("it is inside");
                    (from(&on.definition.name), entry.required)
                })
                .collect();
            let wanted: BTreeMap<usize, bool> = sketch.needs[*source]
                .iter()
                .filter(|(on, _)| at.contains_key(on))
                .map(|(on, required)| (*on, *required))
                .collect();
            prop_assert_eq!(&mapped, &wanted);
            if !connects(*source) {
                prop_assert_eq!(&mapped, &sketch.needs[*source], "nothing is left out");
            }
            let hard = task.needs.iter().filter(|need| need.kind != NeedKind::Structure).count();
            prop_assert_eq!(hard, mapped.len());
        }

        // A mixture of the same: what is linked needs nothing, the rest is as before.
        let links: Vec<TaskId> = linked
            .into_iter()
            .filter(|at| *at < sources.tasks.len() && sketch.completed[*at])
            .filter(|at| select::below(&sources.tasks, start)[*at])
            .map(|at| sources.tasks[at].id.clone())
            .collect();
        let wish = Derive { mode: Mode::Mixed, links: links.clone(), ..wish };
        let mixed = new(derive(&sources, &wish, &SeededIds::new("m")).expect("a mixture"));
        let made: BTreeSet<&TaskId> = mixed.links.iter().flatten().collect();
        prop_assert_eq!(made, links.iter().collect::<BTreeSet<_>>());
        prop_assert!(mixed.submission.tasks.len() <= tasks.len());
        for (task, link) in mixed.submission.tasks.iter().zip(&mixed.links) {
            prop_assert!(link.is_none() || task.needs.is_empty());
        }
    }

    #[test]
    fn what_is_linked_has_completed_with_everything_below(
        sketch in sketches(),
        start in any::<prop::sample::Index>(),
    ) {
        let sources = sources(&sketch);
        let start = start.index(sources.tasks.len());
        let wish = Derive {
            mode: Mode::Link,
            auto_include_deps: Some(true),
            ..Derive::copy(sources.tasks[start].id.clone())
        };
        let below = select::below(&sources.tasks, start);
        let done = (0..below.len()).filter(|at| below[*at]).all(|at| sketch.completed[at]);
        match derive(&sources, &wish, &SeededIds::new("n")) {
            Ok(made) => {
                prop_assert!(done);
                let made = new(made);
                prop_assert!(made.links.iter().all(Option::is_some));
                for task in &made.submission.tasks {
                    prop_assert!(sketch.completed[from(&task.definition.name)]);
                }
            }
            Err(DeriveError::Unfinished { .. }) => {
                prop_assert!(sketch.completed.contains(&false));
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}

/// A task that hangs alone.
fn alone(definition: Definition) -> Sources {
    let id = TaskId::new("t");
    let source = Source { id, tree: 0, parent: None, definition, completed: true, spawned: 0 };
    Sources { tasks: vec![source], options: TreeOptions::default() }
}

#[test]
fn a_copy_leaves_out_what_its_source_has_spawned() {
    let source = |id: &str, parent: Option<usize>, spawned: u32| Source {
        id: TaskId::new(id),
        tree: 0,
        parent,
        definition: Definition { name: id.to_owned(), ..Definition::default() },
        completed: true,
        spawned,
    };
    let tasks = vec![
        source("root", None, 0),
        source("written", Some(0), 0),
        source("split", Some(0), 1),
        source("part", Some(2), 1),
        source("deeper", Some(3), 2),
    ];
    let sources = Sources { tasks, options: TreeOptions::default() };
    let names = |wish: &Derive| -> Vec<String> {
        let made = new(derive(&sources, wish, &SeededIds::new("n")).expect("it is made"));
        made.submission.tasks.iter().map(|task| task.definition.name.clone()).collect()
    };
    assert_eq!(names(&Derive::copy("root")), ["root", "written"]);
    assert_eq!(names(&Derive::copy("split")), ["split", "part"], "these belong together");
    let link = Derive { mode: Mode::Link, ..Derive::copy("root") };
    assert_eq!(names(&link).len(), 5, "links show the whole of what there is");
    let links = vec![TaskId::new("split")];
    let mixed = Derive { mode: Mode::Mixed, links, ..Derive::copy("root") };
    assert_eq!(names(&mixed), ["root", "written", "split"]);
}

#[test]
fn a_copied_loop_leads_to_the_copy_of_its_target() {
    let edge = |to: &str| Definition {
        name: "b".to_owned(),
        max_cycles: Some(4),
        start: crate::task::Begins::OnJump,
        timeouts: crate::task::Timeouts {
            deadline_seconds: Some(9.0),
            ..crate::task::Timeouts::default()
        },
        loop_edge: Some(LoopEdge {
            to: Some(to.to_owned()),
            condition: "cycle < 2".to_owned(),
            max: None,
        }),
        ..Definition::default()
    };
    let source = |id: &str, parent: Option<usize>, definition: Definition| Source {
        id: TaskId::new(id),
        tree: 0,
        parent,
        definition,
        completed: true,
        spawned: 0,
    };
    let root = Definition { name: "a".to_owned(), ..Definition::default() };
    let tasks = vec![source("a", None, root), source("b", Some(0), edge("a"))];
    let sources = Sources { tasks, options: TreeOptions::default() };
    let made = new(derive(&sources, &Derive::copy("a"), &SeededIds::new("n")).expect("a copy"));
    let [a, b] = &made.submission.tasks[..] else { panic!("two tasks") };
    let want = Definition { origin: b.definition.origin.clone(), ..edge(a.id.as_str()) };
    assert_eq!(b.definition, want, "all the author said came along");
    let made = new(derive(&sources, &Derive::copy("b"), &SeededIds::new("n")).expect("a copy"));
    assert_eq!(made.submission.tasks[0].definition.loop_edge, None, "there is no way back");
}

#[test]
fn a_copy_leaves_behind_what_a_run_left_and_keeps_what_the_author_said() {
    let definition = Definition {
        name: "a".to_owned(),
        durability: Durability {
            max_attempts: Some(4),
            resume_from: Some("there".to_owned()),
            idempotency_key: Some("k".to_owned()),
            ..Durability::default()
        },
        governance: Governance {
            token_usage: Some(json!({ "total": 3 })),
            token_budget: Some(10),
            actual_cost_usd: Some(1.5),
            ..Governance::default()
        },
        schedule: Schedule {
            schedule_type: Some("daily".to_owned()),
            run_count: 4,
            next_run_at: Some(Timestamp(1)),
            last_run_at: Some(Timestamp(1)),
            ..Schedule::default()
        },
        placement_constraints: Some(json!({ "zone": "x" })),
        extra: Map::from_iter([("mine".to_owned(), json!(1))]),
        ..Definition::default()
    };
    let sources = alone(definition.clone());
    let copy = new(derive(&sources, &Derive::copy("t"), &SeededIds::new("n")).expect("a copy"));
    let got = &copy.submission.tasks[0].definition;
    let want = Definition {
        durability: Durability { max_attempts: Some(4), ..Durability::default() },
        governance: Governance { token_budget: Some(10), ..Governance::default() },
        schedule: Schedule { schedule_type: Some("daily".to_owned()), ..Schedule::default() },
        origin: Origin {
            kind: OriginType::Copy,
            original_task_id: Some("t".into()),
            has_references: false,
        },
        ..definition
    };
    assert_eq!(*got, want);
}

#[test]
fn an_archive_keeps_everything_but_its_next_time() {
    let schedule = Schedule {
        schedule_enabled: true,
        next_run_at: Some(Timestamp(1)),
        run_count: 2,
        ..Schedule::default()
    };
    let definition = Definition { name: "a".to_owned(), schedule, ..Definition::default() };
    let sources = alone(definition.clone());
    let wish = Derive { mode: Mode::Archive, ..Derive::copy("t") };
    let made = derive(&sources, &wish, &SeededIds::new("n")).expect("an archive");
    let Made::Archived(archived) = made else { panic!("nothing new is made") };
    let schedule = Schedule { schedule_enabled: false, next_run_at: None, ..definition.schedule };
    let origin = Origin { kind: OriginType::Archive, ..Origin::default() };
    assert_eq!(archived, [(0, Definition { origin, schedule, ..definition })]);
}

#[test]
fn what_is_made_is_as_large_as_may_be_stored() {
    let sketch = Sketch {
        parents: vec![None, Some(0), Some(1)],
        needs: vec![BTreeMap::new(); 3],
        completed: vec![true; 3],
    };
    let limits = Limits { depth: 2, ..Limits::default() };
    let wish = Derive { limits, ..Derive::copy("t0") };
    let error = derive(&sources(&sketch), &wish, &SeededIds::new("n")).expect_err("too deep");
    assert!(matches!(error, DeriveError::Invalid(_)), "{error:?}");
}
