//! What is kept of attempts, tasks that failed for good, and bounds of time where no worker holds a
//! task.

use std::time::Duration;

use apflow_core::{
    effect::Effect,
    id::TaskId,
    store::{
        AttemptOutcome, AttemptRecord, DeadLetter, DeadReason, FIRST_ATTEMPTS, LetterFilter,
        MAX_ATTEMPTS_KEPT, Page, Patch,
    },
    task::{FailureKind, LastProgress, State, StateName, Status, Timeouts},
    time::Clock as _,
};
use serde_json::{Map, json};

use super::{
    Bed,
    bed::{LEASE, stumbled},
    done, failed, forest, handed_back, parked,
};

const SECOND: Duration = Duration::from_secs(1);

async fn attempts(bed: &Bed, task: &str) -> Vec<AttemptRecord> {
    let found = bed.store.attempts(&TaskId::new(task)).await.expect("the attempts are read");
    found.unwrap_or_else(|| panic!("there is no task {task}"))
}

async fn letters(bed: &Bed, filter: &LetterFilter) -> Vec<DeadLetter> {
    let found = bed.store.letters(filter, Page::default()).await.expect("the letters are read");
    let count = bed.store.count_letters(filter).await.expect("the letters are counted");
    assert_eq!(count, found.len() as u64);
    found
}

async fn lying(bed: &Bed) -> Vec<String> {
    let found = letters(bed, &LetterFilter::default()).await;
    found.into_iter().map(|letter| letter.task.as_str().to_owned()).collect()
}

fn outcomes(attempts: &[AttemptRecord]) -> Vec<(u32, &'static str)> {
    attempts.iter().map(|it| (it.attempt, it.outcome.as_str())).collect()
}

async fn submit_within(bed: &Bed, text: &str, timeouts: Timeouts) {
    let mut submission = forest(text);
    for task in &mut submission.tasks {
        task.definition.timeouts = timeouts;
    }
    bed.insert(submission).await;
}

/// An attempt that an earlier pass lost does not stand for the one of the same number that completed.
pub async fn a_lost_attempt_of_an_earlier_pass_hides_no_later_one(bed: &Bed) {
    bed.submit("a x9").await;
    bed.claim_one().await;
    bed.pass(LEASE).await;
    let held = bed.claim_one().await;
    let mut again = done(&held, json!(1));
    again.notes.wishes.effects = vec![Effect::Iterate { data: json!(1) }];
    bed.settle(vec![again]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!(2))]).await;
    let kept = attempts(bed, "a").await;
    assert_eq!(outcomes(&kept), [(1, "lost"), (1, "completed")]);
    assert_eq!(kept.iter().map(|it| it.cycle).collect::<Vec<_>>(), [0, 1]);
}

/// Whatever ended an attempt, the next reader finds who had it, when, and what happened.
pub async fn every_attempt_that_ended_without_a_result_is_remembered(bed: &Bed) {
    bed.submit("a x9").await;
    assert_eq!(attempts(bed, "a").await, [], "none has begun");
    let began = bed.clock.now();
    let held = bed.claim_one().await;
    bed.clock.advance(SECOND);
    let ended = bed.clock.now();
    bed.settle(vec![stumbled(&held, Some(SECOND))]).await;
    let first = AttemptRecord {
        run: 1,
        attempt: 1,
        cycle: 0,
        worker: Some("worker".to_owned()),
        began: Some(began),
        ended: Some(ended),
        outcome: AttemptOutcome::Failed,
        kind: Some("executor".to_owned()),
        cause: Some("it broke".to_owned()),
        retry_at: Some(ended.after(SECOND)),
    };
    assert_eq!(attempts(bed, "a").await, std::slice::from_ref(&first));
    bed.pass(SECOND).await;
    bed.claim_one().await;
    bed.pass(LEASE).await;
    let held = bed.claim_one().await;
    bed.settle(vec![handed_back(&held)]).await;
    let began = bed.clock.now();
    let held = bed.claim_one().await;
    let kept = attempts(bed, "a").await;
    let expected = [(1, "failed"), (2, "lost"), (3, "handed_back"), (3, "running")];
    assert_eq!(outcomes(&kept), expected);
    assert_eq!(kept[0], first);
    assert_eq!(kept[1].kind.as_deref(), Some("lost_lease"));
    assert_eq!(kept[3].began, Some(began), "the present one began with its claim");
    bed.clock.advance(SECOND);
    bed.settle(vec![done(&held, json!(1))]).await;
    let kept = attempts(bed, "a").await;
    assert_eq!(outcomes(&kept)[3], (3, "completed"));
    assert_eq!((kept[3].began, kept[3].ended), (Some(began), Some(bed.clock.now())));
    let gone = bed.store.attempts(&TaskId::new("nobody")).await.expect("an answer");
    assert_eq!(gone, None);
}

/// A task that works at once leaves nothing, and is shown all the same.
pub async fn one_attempt_that_completed_is_shown_without_a_row(bed: &Bed) {
    bed.submit("a; b").await;
    let held = bed.claim(2).await;
    bed.settle(vec![done(&held[0], json!(1)), parked(&held[1], None)]).await;
    assert_eq!(outcomes(&attempts(bed, "a").await), [(1, "completed")]);
    assert_eq!(outcomes(&attempts(bed, "b").await), [(1, "parked")]);
}

/// History is bounded: the first attempts and the newest stay.
pub async fn of_many_attempts_the_first_and_the_newest_stay(bed: &Bed) {
    bed.submit("a").await;
    let rounds = MAX_ATTEMPTS_KEPT + 20;
    for _ in 0..rounds {
        let held = bed.claim_one().await;
        bed.settle(vec![handed_back(&held)]).await;
        bed.clock.advance(SECOND);
    }
    let kept = attempts(bed, "a").await;
    assert_eq!(kept.len(), MAX_ATTEMPTS_KEPT as usize);
    let seconds: Vec<u64> = kept
        .iter()
        .map(|it| it.ended.expect("it ended").since(kept[0].ended.expect("it ended")).as_secs())
        .collect();
    let dropped = u64::from(rounds - MAX_ATTEMPTS_KEPT);
    let first = FIRST_ATTEMPTS as usize;
    let all: Vec<u64> = (0..u64::from(FIRST_ATTEMPTS))
        .chain(u64::from(FIRST_ATTEMPTS) + dropped..u64::from(rounds))
        .collect();
    assert_eq!(seconds, all);
    assert_eq!(seconds[first], u64::from(FIRST_ATTEMPTS) + dropped);
}

/// The last attempt leaves a letter, the ones before it do not.
pub async fn a_task_that_failed_for_good_leaves_a_letter(bed: &Bed) {
    bed.submit("a x2; b").await;
    let held = bed.claim(2).await;
    bed.settle(vec![stumbled(&held[0], Some(SECOND)), done(&held[1], json!(1))]).await;
    assert_eq!(lying(bed).await, [""; 0]);
    bed.pass(SECOND).await;
    let held = bed.claim_one().await;
    bed.settle(vec![stumbled(&held, Some(SECOND))]).await;
    let found = letters(bed, &LetterFilter::default()).await;
    let [letter] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((letter.task.as_str(), letter.tree.as_str()), ("a", "tree-a"));
    assert_eq!((letter.reason, letter.kind.as_str()), (DeadReason::Attempts, "executor"));
    assert_eq!((letter.attempts, letter.run, letter.at), (2, 1, bed.clock.now()));
    assert_eq!(letter.error, "it broke");
}

/// What a worker never gave up and time did is left lying too; what a person reported is not.
pub async fn a_lost_task_leaves_a_letter_and_a_reported_one_does_not(bed: &Bed) {
    bed.submit("a x1").await;
    bed.put("b").await;
    bed.claim_one().await;
    bed.pass(LEASE).await;
    bed.set_status("b", Status::InProgress).await.expect("it is taken over");
    bed.set_status("b", Status::Failed).await.expect("it is reported");
    let found = letters(bed, &LetterFilter::default()).await;
    let kinds: Vec<_> = found.iter().map(|it| (it.task.as_str(), it.kind.as_str())).collect();
    assert_eq!(kinds, [("a", "lost_lease")]);
}

/// A letter says that something lies; once it is started again nothing does.
pub async fn a_letter_goes_when_its_task_begins_anew_or_is_set_back(bed: &Bed) {
    // A submission begins as a whole, so each has its own.
    for name in ["a", "b", "c"] {
        bed.submit(name).await;
    }
    bed.run_all(&["a", "b", "c"]).await;
    assert_eq!(lying(bed).await, ["c", "b", "a"], "newest first");
    bed.start("a").await.expect("it begins anew");
    assert_eq!(lying(bed).await, ["c", "b"]);
    bed.set_status("b", Status::Pending).await.expect("it is set back");
    assert_eq!(lying(bed).await, ["c"]);
    let dropped = bed.store.drop_letters(&["c".into(), "a".into()]).await.expect("dropped");
    assert_eq!(dropped, 1);
    assert_eq!(lying(bed).await, [""; 0]);
    assert_eq!(bed.state("c").await, StateName::Failed, "the task stays as it was");
}

/// Every condition of a filter holds.
pub async fn letters_are_found_by_owner_executor_kind_and_time(bed: &Bed) {
    for (name, user) in [("a", "u"), ("b", "v")] {
        let mut submission = forest(name);
        submission.tasks[0].definition.user_id = Some(user.to_owned());
        let executor = json!(format!("run-{name}"));
        submission.tasks[0].definition.params =
            Map::from_iter([("executor_id".to_owned(), executor)]);
        bed.insert(submission).await;
        let held = bed.claim_one().await;
        bed.settle(vec![failed(&held)]).await;
        bed.clock.advance(SECOND);
    }
    let found = async |filter: LetterFilter| -> Vec<String> {
        let found = letters(bed, &filter).await;
        found.into_iter().map(|letter| letter.task.as_str().to_owned()).collect()
    };
    let all = LetterFilter::default;
    let second = bed.clock.now().0 - 1_000_000;
    let at = apflow_core::time::Timestamp(second);
    assert_eq!(found(LetterFilter { user_id: Some("u".into()), ..all() }).await, ["a"]);
    assert_eq!(found(LetterFilter { executor: Some("run-b".into()), ..all() }).await, ["b"]);
    assert_eq!(found(LetterFilter { kind: Some("executor".into()), ..all() }).await, ["b", "a"]);
    assert_eq!(found(LetterFilter { kind: Some("panic".into()), ..all() }).await, [""; 0]);
    let signed = Some(DeadReason::Signature);
    assert_eq!(found(LetterFilter { reason: signed, ..all() }).await, [""; 0]);
    assert_eq!(found(LetterFilter { since: Some(at), ..all() }).await, ["b"]);
    assert_eq!(found(LetterFilter { before: Some(at), ..all() }).await, ["a"]);
    assert_eq!(found(LetterFilter { ids: vec!["b".into()], ..all() }).await, ["b"]);
    let page = Page { limit: 1, offset: 1 };
    let rest = bed.store.letters(&all(), page).await.expect("a page");
    assert_eq!(rest[0].task.as_str(), "a");
}

/// One owner cannot fill the store with letters; the oldest go.
pub async fn beyond_their_bound_the_oldest_letters_of_an_owner_go(bed: &Bed) {
    for name in ["a", "b", "c", "d"] {
        let mut submission = forest(name);
        let owner = if name == "a" { "u" } else { "v" };
        submission.tasks[0].definition.user_id = Some(owner.to_owned());
        bed.insert(submission).await;
        bed.run_all(&[name]).await;
        bed.clock.advance(SECOND);
    }
    assert_eq!(bed.store.trim_letters(1, 1).await.expect("trimmed"), 1);
    assert_eq!(bed.store.trim_letters(1, 10).await.expect("trimmed"), 1);
    assert_eq!(lying(bed).await, ["d", "a"]);
}

/// What goes leaves neither attempts nor letters.
pub async fn attempts_and_letters_go_with_their_task(bed: &Bed) {
    bed.submit("a x2").await;
    let held = bed.claim_one().await;
    bed.settle(vec![stumbled(&held, Some(SECOND))]).await;
    bed.pass(SECOND).await;
    let held = bed.claim_one().await;
    bed.settle(vec![failed(&held)]).await;
    bed.clock.advance(SECOND);
    assert_eq!(bed.store.prune(bed.clock.now(), 10).await.expect("pruned"), 1);
    assert_eq!(lying(bed).await, [""; 0]);
    bed.submit("a").await;
    assert_eq!(attempts(bed, "a").await, [], "a new task of the same id has none");
}

/// A ready task whose author does not want it to wait for ever.
pub async fn a_task_that_waits_too_long_for_a_worker_fails(bed: &Bed) {
    let queue = Timeouts { queue_timeout_seconds: Some(5.0), ..Timeouts::default() };
    submit_within(bed, "a; b <a", queue).await;
    assert_eq!(bed.pass(4 * SECOND).await, 0);
    let settled = bed.settle_and_claim(Vec::new(), 1).await;
    assert_eq!(settled.claimed.len(), 1, "it is taken in time");
    bed.settle(vec![done(&settled.claimed[0], json!(1))]).await;
    let next = bed.store.settle(Vec::new(), None).await.expect("an answer").next_wake;
    assert_eq!(next, Some(bed.clock.now().after(5 * SECOND)), "its time begins when it is ready");
    assert_eq!(bed.pass(5 * SECOND).await, 1);
    let record = bed.record("b").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.message.contains("queue_timeout_seconds"), "{}", failure.message);
    assert_eq!(lying(bed).await, ["b"]);
}

/// The time of the whole task goes on while it waits for its next attempt.
pub async fn a_task_that_takes_too_long_over_all_its_attempts_fails(bed: &Bed) {
    let whole = Timeouts { deadline_seconds: Some(20.0), ..Timeouts::default() };
    submit_within(bed, "a x9; b x9", whole).await;
    bed.clock.advance(100 * SECOND);
    let held = bed.claim(2).await;
    let deadline = bed.clock.now().after(20 * SECOND);
    assert_eq!(held[0].given.deadline, Some(deadline), "it counts from the first attempt");
    bed.settle(vec![stumbled(&held[0], Some(5 * SECOND)), stumbled(&held[1], Some(30 * SECOND))])
        .await;
    let record = bed.record("b").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert!(failure.message.contains("deadline_seconds"), "{}", failure.message);
    bed.pass(5 * SECOND).await;
    assert_eq!(bed.state("a").await, StateName::Ready);
    bed.pass(15 * SECOND).await;
    let record = bed.record("a").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.message.contains("deadline_seconds"), "{}", failure.message);
}

/// A bound that was changed counts from then on, and a new run keeps it.
pub async fn a_changed_bound_counts_at_once_and_stays(bed: &Bed) {
    bed.submit("a").await;
    let timeouts = json!({ "deadline_seconds": 20.0 });
    let definition = Map::from_iter([("timeouts".to_owned(), timeouts)]);
    bed.update("a", Patch { definition, ..Patch::default() }).await.expect("it is changed");
    let held = bed.claim_one().await;
    assert_eq!(held.given.deadline, Some(bed.clock.now().after(20 * SECOND)));
    bed.settle(vec![failed(&held)]).await;
    bed.start("a").await.expect("it begins anew");
    bed.clock.advance(SECOND);
    let held = bed.claim_one().await;
    assert_eq!(held.given.deadline, Some(bed.clock.now().after(20 * SECOND)));
}

/// What an attempt said of its progress is there for the next one, and for that one alone.
pub async fn the_next_attempt_is_told_how_far_the_last_one_was(bed: &Bed) {
    bed.submit("a x3").await;
    let held = bed.claim_one().await;
    assert_eq!(held.given.progress, None);
    let progress = LastProgress { fraction: 0.5, message: Some("row 500".to_owned()) };
    let mut report = stumbled(&held, Some(SECOND));
    report.notes.progress = Some(progress.clone());
    bed.settle(vec![report]).await;
    bed.pass(SECOND).await;
    let held = bed.claim_one().await;
    assert_eq!(held.given.progress, Some(progress));
    bed.settle(vec![failed(&held)]).await;
    bed.start("a").await.expect("it begins anew");
    assert_eq!(bed.claim_one().await.given.progress, None, "a new run begins at nothing");
}
