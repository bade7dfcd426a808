//! Whether what a store counts is what its records and its journal say.

use std::collections::BTreeMap;

use apflow_core::{
    id::TreeId,
    plan,
    store::{EventKind, Page, Store, TaskEvent, TaskFilter},
    task::{Join, OriginType, Outcome, Record, RunSummary, State, StateName, Status},
};

/// Compares counters, summaries and journal with the records; panics where they differ.
pub async fn audit(store: &dyn Store) {
    let mut trees: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut page = Page { limit: Page::MAX, offset: 0 };
    loop {
        let records = store.list(&TaskFilter::default(), page).await.expect("a list");
        let full = records.len() == Page::MAX as usize;
        page.offset += Page::MAX;
        for record in records {
            trees.entry(record.tree_id.as_str().to_owned()).or_default().push(record);
        }
        if !full {
            break;
        }
    }
    let counts = store.count(&TaskFilter::default()).await.expect("counts");
    for status in Status::ALL {
        let listed =
            trees.values().flatten().filter(|each| each.task.state.status() == status).count();
        assert_eq!(counts.of(status), listed as u64, "tasks that are {status}");
    }
    for (tree, mut records) in trees {
        records.reverse();
        let run = store.run_of_tree(&TreeId::new(&*tree)).await.expect("a run").expect("a tree");
        check_run(&tree, &run, &records);
        check_journal(store, &tree, &run, &records).await;
        if run.running {
            check_blocked(store, &records).await;
        }
        records.iter().for_each(check_record);
    }
}

fn check_run(tree: &str, run: &RunSummary, records: &[Record]) {
    // A link counts as completed in its own tree, whatever its original does meanwhile.
    let links = records.iter().filter(|each| is_link(each)).count() as u64;
    let own = || records.iter().filter(|each| !is_link(each));
    let of = |name: StateName| own().filter(move |each| each.task.state.name() == name);
    let completed = of(StateName::Completed).count() as u64 + links;
    assert_eq!(run.total, records.len() as u64, "tasks of {tree}");
    assert_eq!(run.completed, completed, "completed tasks of {tree}");
    assert_eq!(run.running, run.run > 0 && run.outcome.is_none(), "{tree} runs or has an outcome");
    if run.run == 0 && run.total == links {
        assert_eq!(run.outcome, Some(Outcome::Completed), "{tree} has only links");
    }
    assert_eq!(run.running, run.run > 0 && run.finished_at.is_none(), "{tree} runs or has ended");
    let since = run.started_at.unwrap_or_default();
    let failed: Vec<_> = of(StateName::Failed)
        .filter(|each| each.task.completed_at.is_some_and(|at| at >= since))
        .map(|each| each.id.clone())
        .collect();
    let blocked: Vec<_> = of(StateName::Blocked).map(|each| each.id.clone()).collect();
    if run.run > 0 && records.len() <= 100 && run.outcome != Some(Outcome::Completed) {
        assert_eq!(run.failed_tasks, failed, "failed tasks of {tree}");
        let expected = if run.running { Vec::new() } else { blocked.clone() };
        assert_eq!(run.blocked_tasks, expected, "blocked tasks of {tree}");
    }
    if run.running {
        let open = own().any(|each| {
            !each.task.state.is_terminal() && each.task.state.name() != StateName::Created
        });
        assert!(open, "{tree} runs and nothing of it can still move");
    } else if run.run > 0 {
        let reported_by_hand = |each: &&Record| !matches!(each.task.state, State::Waiting { .. });
        let live = own().filter(reported_by_hand).find(|each| each.task.state.is_live());
        assert_eq!(live.map(|each| &each.id), None, "{tree} has ended and this task moves");
    }
    if run.outcome == Some(Outcome::Completed) {
        let counted = records.iter().filter(|each| {
            failed.contains(&each.id) && plan::counted_as(&each.task) == StateName::Failed
        });
        assert_eq!((counted.count(), blocked), (0, Vec::new()), "{tree} completed");
    }
}

fn is_link(record: &Record) -> bool {
    record.definition.origin.kind == OriginType::Link
}

/// A run ended the way its tasks did.
fn check_outcome(tree: &str, run: &RunSummary, records: &[Record]) {
    let since = run.started_at.unwrap_or_default();
    let in_this_run = records.iter().filter(|each| !is_link(each)).filter(|each| {
        !each.task.state.is_terminal() || each.task.completed_at.is_some_and(|at| at >= since)
    });
    let in_this_run =
        in_this_run.filter(|each| !each.task.facets.as_ref().is_some_and(|of| of.passed_by));
    let judged = plan::outcome(in_this_run.map(|each| plan::counted_as(&each.task)), true);
    assert_eq!(run.outcome, judged, "how {tree} ended and what its tasks say");
}

fn check_record(record: &Record) {
    let (id, task) = (&record.id, &record.task);
    assert_eq!(task.completed_at.is_some(), task.state.is_terminal(), "{id} has an end");
    assert!((0.0..=1.0).contains(&record.progress), "{id} is at {}", record.progress);
    if let Some(most) = task.max_attempts {
        assert!(task.attempts <= most, "{id} was tried {} times of {most}", task.attempts);
    }
    if task.state.status() == Status::Failed {
        assert!(record.error.as_deref().is_some_and(|error| !error.is_empty()), "{id} says why");
    }
}

/// What a blocked task counts is what its needs say.
async fn check_blocked(store: &dyn Store, records: &[Record]) {
    // After a jump a task may wait for one that has ended, and who begins on a jump waits for it.
    let jumps = |of: &apflow_core::task::Facets| of.jumped || of.on_jump;
    if records.iter().any(|each| each.task.facets.as_deref().is_some_and(jumps)) {
        return;
    }
    for each in records {
        let State::Blocked { waiting_for, .. } = each.task.state else { continue };
        if each.task.join == Join::Any {
            continue;
        }
        let detail = store.record(&each.id).await.expect("a record").expect("it is there");
        let mut unsettled = 0;
        for need in &detail.waiting_for {
            let need = store.record(need).await.expect("a record").expect("it is there");
            unsettled += u32::from(need.task.state.name() != StateName::Created);
        }
        assert_eq!(waiting_for, unsettled, "{} waits for {:?}", each.id, detail.waiting_for);
    }
}

/// Each run begins and ends once; each task ends once until it is started again.
async fn check_journal(store: &dyn Store, tree: &str, run: &RunSummary, records: &[Record]) {
    let events = store.events(Some(&TreeId::new(tree)), 0, 100_000).await.expect("events");
    assert!(events.is_sorted_by_key(|event| event.seq), "events of {tree} are in order");
    assert!(events.is_sorted_by_key(|event| event.at), "events of {tree} are in order of time");
    let mut runs: u32 = 0;
    let mut going = false;
    let mut ended: BTreeMap<&str, (EventKind, u32)> = BTreeMap::new();
    for event in &events {
        let task = event.task.as_ref().map(apflow_core::id::TaskId::as_str);
        match (event.kind, task) {
            (EventKind::RunStarted, _) => {
                assert!(!going, "a run of {tree} began while another went on");
                going = true;
                runs += 1;
            }
            (EventKind::RunFinished, _) => {
                assert!(going, "a run of {tree} ended that had not begun");
                going = false;
            }
            (EventKind::Reset, Some(task)) => drop(ended.remove(task)),
            (
                EventKind::Completed
                | EventKind::Failed
                | EventKind::Cancelled
                | EventKind::Skipped,
                Some(task),
            ) => {
                let before = ended.insert(task, (event.kind, runs));
                assert!(
                    before.is_none_or(|(_, run)| run < runs),
                    "{task} ended twice in run {runs}: {before:?}, then {:?}",
                    event.kind
                );
            }
            (_, Some(task)) => {
                if let Some((_, run)) = ended.remove(task) {
                    assert!(run < runs, "{task} had ended in run {runs}, then {:?}", event.kind);
                }
            }
            (_, None) => {}
        }
    }
    assert_eq!(runs, run.run, "runs of {tree}");
    assert_eq!(going, run.running, "the last run of {tree}");
    // What is done by hand after a run does not change how the run ended.
    if events.last().is_some_and(|event| event.kind == EventKind::RunFinished) {
        let began = events.iter().rposition(|event| event.kind == EventKind::RunStarted);
        let passed_by = |event: &TaskEvent| {
            records.iter().any(|each| {
                Some(&each.id) == event.task.as_ref()
                    && each.task.facets.as_ref().is_some_and(|of| of.passed_by)
            })
        };
        let lost = |event: &TaskEvent| {
            matches!(event.kind, EventKind::Failed | EventKind::Skipped) && !passed_by(event)
        };
        let of_its_own = events.iter().skip(began.unwrap_or(0)).any(lost);
        // A blocked task that made its run fail may have been deleted since.
        if of_its_own || run.outcome != Some(Outcome::Failed) {
            check_outcome(tree, run, records);
        }
    }
    // Nothing ever happens to a link.
    for record in records.iter().filter(|record| !is_link(record)) {
        let said = ended.get(record.id.as_str()).map(|(kind, _)| *kind);
        let expected = match record.task.state.name() {
            StateName::Completed => Some(EventKind::Completed),
            StateName::Failed => Some(EventKind::Failed),
            StateName::Cancelled => Some(EventKind::Cancelled),
            StateName::Skipped => Some(EventKind::Skipped),
            // A new run may wait for it before it is claimed.
            _ => continue,
        };
        assert_eq!(said, expected, "the end of {}", record.id);
    }
}
