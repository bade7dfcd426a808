//! Parked tasks: questions, events, timers, other runs, and pauses (ruling 19).

use std::{sync::Arc, time::Duration};

use apflow_core::{
    store::{
        Answering, Claimed, Ended, Page, Pause, PauseAnswer, Publish, Published, Settlement,
        StoreError, Submission, WaitFilter, WaitRecord, WaitState,
    },
    task::{FailureKind, OnTimeout, State, Wait, WaitFor},
};
use serde_json::{Value, json};

use super::{Bed, bed::ids, done, forest};

const MINUTE: Duration = Duration::from_mins(1);

/// The report that a task waits under this id and key.
fn parks(held: &Claimed, id: &str, key: &str, what: WaitFor, detail: Value) -> Settlement {
    parks_at_most(held, id, key, Wait::new(what, detail), None)
}

fn parks_at_most(
    held: &Claimed,
    id: &str,
    key: &str,
    wait: Wait,
    at_most: Option<Duration>,
) -> Settlement {
    let wait = Wait { id: id.to_owned(), key: key.to_owned(), ..wait };
    Settlement::new(held.seq, held.lease, Ended::Parked { wait, at_most })
}

fn asks(held: &Claimed, id: &str, key: &str) -> Settlement {
    parks(held, id, key, WaitFor::Feedback, json!({ "kind": "text", "prompt": "well?" }))
}

fn listens(held: &Claimed, id: &str, topic: &str) -> Settlement {
    parks(held, id, "0.0", WaitFor::Event, json!({ "topic": topic }))
}

async fn answer(bed: &Bed, id: &str, value: Value) -> Result<WaitRecord, StoreError> {
    let (id, by) = (id.to_owned(), Some("ann".to_owned()));
    bed.store.answer(Answering { id, value, by, withdraw: false }).await
}

async fn withdraw(bed: &Bed, id: &str, why: &str) -> Result<WaitRecord, StoreError> {
    let (id, value) = (id.to_owned(), json!(why));
    bed.store.answer(Answering { id, value, by: None, withdraw: true }).await
}

fn event(id: &str, topic: &str, payload: Value) -> Publish {
    let (id, topic) = (id.to_owned(), topic.to_owned());
    Publish { id, topic, payload, key: None, user_id: None }
}

async fn publish(bed: &Bed, event: Publish) -> Published {
    bed.store.publish(event).await.expect("it is published")
}

async fn wait(bed: &Bed, id: &str) -> WaitRecord {
    bed.store.wait(id).await.expect("a wait").expect("it is there")
}

async fn open(bed: &Bed) -> Vec<String> {
    let waits = bed.store.waits(&WaitFilter::default(), Page::default()).await.expect("waits");
    waits.into_iter().map(|wait| wait.id).collect()
}

async fn pause(bed: &Bed, task: &str, tree: bool, paused: bool) -> PauseAnswer {
    let wish = Pause { task: task.into(), tree, paused };
    bed.store.pause(wish).await.expect("it is done")
}

/// What the task finds when it runs again.
fn came(held: &Claimed) -> Vec<(String, WaitState, Value)> {
    let answers = held.given.answers.iter();
    answers.map(|(key, it)| (key.clone(), it.state, it.value.clone())).collect()
}

/// The first answer wins, wakes the task, and costs no attempt.
pub async fn a_question_is_listed_answered_once_and_handed_over(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    assert_eq!(bed.states("a b").await, "waiting blocked");
    let asked = wait(bed, "q").await;
    assert_eq!((asked.task.as_str(), asked.name.as_str(), asked.run), ("a", "a", 1));
    assert_eq!(
        (asked.state, asked.what, asked.key.as_str()),
        (WaitState::Pending, WaitFor::Feedback, "0.0")
    );
    assert_eq!(asked.detail["prompt"], "well?");
    assert_eq!(open(bed).await, ["q"]);

    let answered = answer(bed, "q", json!({ "text": "yes" })).await.expect("the first one");
    assert_eq!(
        (answered.state, answered.answered_by.as_deref()),
        (WaitState::Answered, Some("ann"))
    );
    let second = answer(bed, "q", json!({ "text": "no" })).await;
    assert!(matches!(second, Err(StoreError::WaitClosed { state: WaitState::Answered, .. })));
    let nobody = answer(bed, "nobody", json!(1)).await;
    assert!(matches!(nobody, Err(StoreError::NoSuchWait { .. })));
    assert!(open(bed).await.is_empty());

    let held = bed.claim_one().await;
    assert_eq!(
        (held.attempt, came(&held)),
        (1, vec![("0.0".to_owned(), WaitState::Answered, json!({ "text": "yes" }))])
    );
    bed.settle(vec![done(&held, json!(1))]).await;
    assert_eq!(came(&bed.claim_one().await), []);
    assert_eq!(wait(bed, "q").await.answer, json!({ "text": "yes" }), "it is kept");
}

/// Each question has its own answer, also when the first one timed out before.
pub async fn two_questions_of_one_task_keep_their_own_answers(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q1", "0.0")]).await;
    answer(bed, "q1", json!({ "text": "A1" })).await.expect("an answer");
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q2", "0.1")]).await;
    assert!(answer(bed, "q1", json!(1)).await.is_err());
    answer(bed, "q2", json!({ "text": "A2" })).await.expect("an answer");
    let texts: Vec<Value> =
        came(&bed.claim_one().await).into_iter().map(|(.., value)| value["text"].clone()).collect();
    assert_eq!(texts, ["A1", "A2"]);
}

/// Withdrawing wakes at once; an answer after it is refused.
pub async fn a_withdrawn_question_wakes_its_task_and_takes_no_answer(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    withdraw(bed, "q", "not needed").await.expect("it is open");
    assert_eq!(bed.states("a").await, "ready");
    let late = answer(bed, "q", json!(1)).await;
    assert!(matches!(late, Err(StoreError::WaitClosed { state: WaitState::Cancelled, .. })));
    let held = bed.claim_one().await;
    assert_eq!(came(&held), [("0.0".to_owned(), WaitState::Cancelled, json!("not needed"))]);
}

/// Fail, stay, go on with a default, or ask somebody else.
pub async fn a_question_that_nobody_answers_ends_as_it_was_said(bed: &Bed) {
    bed.submit("a; b; c; d").await;
    let held = bed.claim(4).await;
    let escalate = OnTimeout::Escalate { to: "boss".to_owned(), after: MINUTE };
    let default = OnTimeout::Default(json!({ "text": "none" }));
    let ways = [OnTimeout::Fail, OnTimeout::Park, default, escalate];
    let batch = held.iter().zip(ways).map(|(held, on_timeout)| {
        let wait = Wait { on_timeout, ..Wait::new(WaitFor::Feedback, json!({})) };
        parks_at_most(held, held.id.as_str(), "0.0", wait, Some(MINUTE))
    });
    bed.settle(batch.collect()).await;
    assert_eq!(bed.pass(MINUTE).await, 4);
    assert_eq!(bed.states("a b c d").await, "failed waiting ready waiting");
    let failure = match bed.record("a").await.task.state {
        State::Failed { failure } => failure.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure, FailureKind::WaitExpired);
    let mut states = Vec::new();
    for id in ["a", "b", "c", "d"] {
        states.push(wait(bed, id).await.state);
    }
    let expected =
        [WaitState::Expired, WaitState::Expired, WaitState::Answered, WaitState::Pending];
    assert_eq!(states, expected);
    assert_eq!(wait(bed, "c").await.answered_by.as_deref(), Some("timeout"));
    assert_eq!(wait(bed, "d").await.escalated_to.as_deref(), Some("boss"));
    assert!(answer(bed, "a", json!(1)).await.is_err(), "it failed");
    assert_eq!(open(bed).await, ["b", "d"], "what still takes an answer");
    assert_eq!(bed.settle_and_claim(Vec::new(), 0).await.next_wake, wait(bed, "d").await.until);

    answer(bed, "b", json!({ "text": "late" })).await.expect("it stayed parked");
    assert_eq!(wait(bed, "b").await.state, WaitState::Answered);
    assert_eq!(bed.pass(MINUTE).await, 1);
    assert_eq!(bed.states("b d").await, "ready failed");
    assert_eq!(wait(bed, "d").await.state, WaitState::Expired);
    let held = bed.claim(9).await;
    assert_eq!(ids(&held), ["b", "c"]);
    assert_eq!(
        came(&held[1]),
        [("0.0".to_owned(), WaitState::Answered, json!({ "text": "none" }))]
    );
}

/// A timer is what it waited for, and its answer is there when the task runs again.
pub async fn a_timer_wakes_its_task_and_is_not_set_again(bed: &Bed) {
    bed.submit("a; b").await;
    let held = bed.claim(2).await;
    let timer = Wait::new(WaitFor::Timer, json!({ "seconds": 60 }));
    let at = bed.clock_at(MINUTE * 2);
    let until = Wait::new(WaitFor::Timer, json!({ "at": at }));
    bed.settle(vec![
        parks_at_most(&held[0], "t", "0.0", timer, Some(MINUTE)),
        parks_at_most(&held[1], "u", "0.0", until, None),
    ])
    .await;
    assert_eq!((bed.pass(MINUTE / 2).await, bed.pass(MINUTE / 2).await), (0, 1));
    let held = bed.claim_one().await;
    assert_eq!(held.id.as_str(), "a");
    assert_eq!(came(&held), [("0.0".to_owned(), WaitState::Answered, Value::Null)]);
    assert_eq!(bed.pass(MINUTE).await, 1 + 1, "the timer, and the lease of the other");
    assert_eq!(bed.states("b").await, "ready");
}

/// Nobody answers for a task that has ended.
pub async fn what_ends_a_task_closes_its_question(bed: &Bed) {
    bed.submit("a; b ^a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    bed.cancel("a").await;
    let closed = wait(bed, "q").await;
    assert_eq!((closed.state, closed.answer), (WaitState::Cancelled, json!("because")));
    assert!(matches!(answer(bed, "q", json!(1)).await, Err(StoreError::WaitClosed { .. })));
    assert_eq!(bed.states("a b").await, "cancelled cancelled");
}

/// What was answered in one run is not known in the next.
pub async fn a_new_run_asks_anew(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    answer(bed, "q", json!({ "text": "once" })).await.expect("an answer");
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!(1))]).await;
    bed.begin("a", true).await.expect("a new run");
    let held = bed.claim_one().await;
    assert_eq!(came(&held), []);
    bed.settle(vec![asks(&held, "q2", "0.0")]).await;
    answer(bed, "q2", json!({ "text": "twice" })).await.expect("an answer");
    let held = bed.claim_one().await;
    assert_eq!(came(&held)[0].2["text"], "twice");
    assert_eq!(wait(bed, "q").await.answer["text"], "once", "the old one is history");
}

/// Topic and filter say whom; a key makes one event of two.
pub async fn an_event_wakes_whom_it_concerns_and_nobody_else(bed: &Bed) {
    bed.submit("a; b; c; d").await;
    let held = bed.claim(4).await;
    let picky = json!({ "topic": "order", "filter": { "item.id": 7 } });
    bed.settle(vec![
        listens(&held[0], "wa", "order"),
        parks(&held[1], "wb", "0.0", WaitFor::Event, picky),
        listens(&held[2], "wc", "other"),
        asks(&held[3], "wd", "0.0"),
    ])
    .await;
    let first = publish(bed, event("e1", "order", json!({ "item": { "id": 8 } }))).await;
    assert_eq!((first.woken, first.replayed), (1, false));
    assert_eq!(bed.states("a b c d").await, "ready waiting waiting waiting");
    let keyed = Publish {
        key: Some("k".to_owned()),
        ..event("e2", "order", json!({ "item": { "id": 7 } }))
    };
    assert_eq!(publish(bed, keyed.clone()).await.woken, 1);
    let again = publish(bed, Publish { id: "e3".to_owned(), ..keyed }).await;
    assert_eq!((again.id.as_str(), again.woken, again.replayed), ("e2", 0, true));
    assert_eq!(publish(bed, event("e4", "nobody", json!(null))).await.woken, 0);
    let held = bed.claim(9).await;
    assert_eq!(ids(&held), ["a", "b"]);
    assert_eq!(came(&held[0])[0].2, json!({ "item": { "id": 8 } }));
    assert_eq!(wait(bed, "wb").await.answered_by.as_deref(), Some("e2"));
}

/// Looking back finds the oldest event that fits and was not taken yet, and none that is too old.
pub async fn an_event_that_came_before_is_found_by_those_who_look_back(bed: &Bed) {
    publish(bed, event("old", "t", json!(0))).await;
    bed.clock.advance(MINUTE * 2);
    publish(bed, event("e1", "t", json!(1))).await;
    publish(bed, event("e2", "t", json!(2))).await;
    bed.submit("a; b").await;
    let held = bed.claim(2).await;
    let back = json!({ "topic": "t", "look_back_seconds": 60 });
    let listens_back =
        |held: &Claimed, id: &str, key: &str| parks(held, id, key, WaitFor::Event, back.clone());
    let next = bed.settle_and_claim(
        vec![listens_back(&held[0], "w1", "0.0"), listens(&held[1], "wb", "t")],
        9,
    );
    let held = next.await.claimed;
    assert_eq!(ids(&held), ["a"], "it found one in the very transaction in which it parked");
    assert_eq!(came(&held[0])[0].2, json!(1));
    let held = bed.settle_and_claim(vec![listens_back(&held[0], "w2", "0.1")], 9).await.claimed;
    assert_eq!(came(&held[0])[1].2, json!(2));
    let left = bed.settle_and_claim(vec![listens_back(&held[0], "w3", "0.2")], 9).await.claimed;
    assert_eq!(ids(&left), [""; 0], "each event is taken once");
    assert_eq!(publish(bed, event("e3", "t", json!(3))).await.woken, 2);
}

/// Events of a person wake his tasks; those of the system wake everybody's.
pub async fn an_event_of_one_owner_wakes_only_his_tasks(bed: &Bed) {
    for (task, owner) in [("a", "ann"), ("b", "bob")] {
        let mut submission: Submission = forest(task);
        for each in &mut submission.tasks {
            each.definition.user_id = Some(owner.to_owned());
        }
        bed.insert(submission).await;
    }
    let held = bed.claim(2).await;
    bed.settle(vec![listens(&held[0], "wa", "t"), listens(&held[1], "wb", "t")]).await;
    let of_bob = |id: &str| Publish { user_id: Some("bob".to_owned()), ..event(id, "t", json!(1)) };
    assert_eq!(publish(bed, of_bob("e1")).await.woken, 1);
    assert_eq!(bed.states("a b").await, "waiting ready");
    let mine = WaitFilter { user_id: Some("ann".to_owned()), ..WaitFilter::default() };
    let mine = bed.store.waits(&mine, Page::default()).await.expect("waits");
    assert_eq!(mine.len(), 1);
    assert_eq!(publish(bed, event("e2", "t", json!(1))).await.woken, 1);
}

/// At once if it is over, at its end if it runs; a tree that is not there is said so.
pub async fn whoever_waits_for_a_run_hears_how_it_ended(bed: &Bed) {
    bed.submit("done").await;
    bed.run_all(&[]).await;
    bed.submit("a; b; c; d").await;
    bed.put("job").await;
    let held = bed.claim(4).await;
    let on = |held: &Claimed, tree: &str| {
        parks(held, held.id.as_str(), "0.0", WaitFor::Child, json!({ "tree": tree }))
    };
    let batch = vec![
        on(&held[0], "tree-done"),
        on(&held[1], "tree-job"),
        on(&held[2], "tree-job"),
        on(&held[3], "no"),
    ];
    let next = bed.settle_and_claim(batch, 9).await.claimed;
    let told: Vec<_> = next.iter().map(|held| (held.id.as_str(), came(held))).collect();
    assert_eq!(ids(&next), ["a", "d"], "{told:?}");
    assert_eq!(came(&next[0])[0].2, json!({ "outcome": "completed", "run": 1 }));
    assert_eq!(came(&next[1])[0].1, WaitState::Cancelled);
    bed.settle(next.iter().map(|held| done(held, json!(1))).collect()).await;
    assert_eq!(bed.states("b c").await, "waiting waiting");
    bed.start("job").await.expect("it runs");
    let job = bed.claim_one().await;
    let next = bed.settle_and_claim(vec![super::failed(&job)], 9).await.claimed;
    assert_eq!(ids(&next), ["b", "c"], "the end of the run wakes them in its own transaction");
    assert_eq!(came(&next[1])[0].2, json!({ "outcome": "failed", "run": 1 }));
}

/// A pause outlasts whatever the task does.
pub async fn a_paused_task_is_not_taken_and_a_resumed_one_is(bed: &Bed) {
    bed.submit("a; b <a").await;
    assert_eq!(pause(bed, "b", false, true).await.tasks, 0);
    assert!(!pause(bed, "b", false, true).await.changed, "it is paused already");
    assert_eq!(bed.run_all(&[]).await, [["a"]]);
    assert_eq!(bed.states("b").await, "ready");
    assert!(bed.claim(9).await.is_empty());
    assert!(bed.run("b").await.running);
    assert_eq!(pause(bed, "b", false, false).await.tasks, 1);
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
    let ended = bed.store.pause(Pause { task: "b".into(), tree: false, paused: true }).await;
    assert!(matches!(ended, Err(StoreError::Refused { .. })));
}

/// What runs goes on; what becomes ready waits, and so does what is answered meanwhile.
pub async fn a_paused_tree_holds_whatever_becomes_ready(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root <a").await;
    let held = bed.claim(1).await;
    bed.settle(vec![asks(&held[0], "q", "0.0")]).await;
    let paused = pause(bed, "c", true, true).await;
    assert_eq!((paused.tasks, paused.changed, paused.tree.as_str()), (1, true, "tree-root"));
    answer(bed, "q", json!({ "text": "go" })).await.expect("an answer");
    assert_eq!(bed.states("a b c").await, "ready ready blocked");
    assert!(bed.claim(9).await.is_empty());
    assert_eq!(pause(bed, "root", true, false).await.tasks, 2);
    assert_eq!(bed.run_all(&[]).await.concat(), ["a", "b", "c", "root"]);
}

/// Ten people, one answer.
pub async fn of_answers_at_once_one_is_taken(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    let answers: Vec<_> = (0..10)
        .map(|n| {
            let store = Arc::clone(&bed.store);
            tokio::spawn(async move {
                let (id, by) = ("q".to_owned(), Some(n.to_string()));
                store
                    .answer(Answering { id, value: json!({ "text": n }), by, withdraw: false })
                    .await
            })
        })
        .collect();
    let mut taken = Vec::new();
    for answer in answers {
        match answer.await.expect("it ends") {
            Ok(record) => taken.push(record.answer),
            Err(StoreError::WaitClosed { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(taken.len(), 1);
    assert_eq!(came(&bed.claim_one().await)[0].2, taken[0]);
}

/// Whichever comes first, the task gets the event.
pub async fn an_event_and_a_task_that_looks_back_do_not_miss_each_other(bed: &Bed) {
    for round in 0..10 {
        let (task, topic) = (format!("t{round}"), format!("topic-{round}"));
        bed.submit(&task).await;
        let held = bed.claim_one().await;
        let detail = json!({ "topic": topic, "look_back_seconds": 60 });
        let parks = parks(&held, &format!("w{round}"), "0.0", WaitFor::Event, detail);
        let store = Arc::clone(&bed.store);
        let said = event(&format!("e{round}"), &topic, json!(round));
        let published = tokio::spawn(async move { store.publish(said).await });
        bed.settle(vec![parks]).await;
        published.await.expect("it ends").expect("it is published");
        let held = bed.claim_one().await;
        assert_eq!(came(&held)[0].2, json!(round));
        bed.settle(vec![done(&held, json!(1))]).await;
    }
}

/// Retention takes them along.
pub async fn waits_go_with_their_task(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asks(&held, "q", "0.0")]).await;
    bed.cancel("a").await;
    let later = bed.clock_at(MINUTE);
    bed.clock.advance(MINUTE);
    assert_eq!(bed.store.prune(later, 10).await.expect("it is pruned"), 1);
    assert!(bed.store.wait("q").await.expect("an answer").is_none());
}
