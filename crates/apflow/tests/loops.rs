//! Edges that lead back: a task that repeats itself, two that go round, and where that ends.

use apflow::{
    core::task::{FailureKind, State},
    prelude::*,
};
use serde_json::{Value, json};

async fn app() -> App {
    let mut app = App::builder()
        .register(|registry| {
            registry.function(
                "count",
                "Counts its passes.",
                |_: Value, context: Context| async move {
                    let last = context.given.cycle_data.as_ref().map(|last| last["n"].clone());
                    let n = last.and_then(|n| n.as_i64()).unwrap_or(0) + 1;
                    Ok(json!({ "n": n, "cycle": context.given.cycle }))
                },
            );
            registry.function("judge", "Judges.", |given: Value, _: Context| async move {
                Ok(json!({ "n": given["a"]["n"], "saw": given }))
            });
        })
        .open()
        .await
        .expect("opens");
    app.work();
    app
}

fn counting(name: &str) -> apflow::core::build::TaskBuilder {
    task(name).id(name).executor("count")
}

#[tokio::test]
async fn a_loop_goes_round_as_long_as_its_condition_holds() {
    let app = app().await;
    let a = counting("a").input("most", 3).repeat_while("result.n < inputs.most", 5);
    let b = counting("b").depends_on(["a"]);
    let ran = app.run(vec![a.build(), b.build()]).await.expect("it runs");
    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("a"), Some(&json!({ "n": 3, "cycle": 2 })));
    assert_eq!(ran.result("b"), Some(&json!({ "n": 1, "cycle": 0 })));
}

#[tokio::test]
async fn a_loop_may_go_round_more_often_than_a_task_without_one() {
    let ran = app().await.run(vec![counting("a").repeat_while("cycle < 11", 12).build()]).await;
    let ran = ran.expect("it runs");
    assert_eq!(ran.result("a"), Some(&json!({ "n": 12, "cycle": 11 })));
}

#[tokio::test]
async fn a_loop_that_does_not_end_is_a_failure_of_its_own_kind() {
    let ran = app().await.run(vec![counting("a").repeat_while("true", 3).build()]).await;
    let ran = ran.expect("it runs");
    let state = &ran.task("a").expect("it is stored").task.state;
    let State::Failed { failure } = state else { panic!("{state:?}") };
    assert_eq!(failure.kind, FailureKind::CycleLimit);
    assert!(failure.message.contains("ran 3 times"), "{}", failure.message);
}

#[tokio::test]
async fn a_loop_leads_back_to_a_task_before_it_and_those_after_it_wait() {
    let app = app().await;
    let a = counting("a");
    let b = task("b").id("b").executor("judge").depends_on(["a"]);
    let b = b.back_to_while("a", "cycle < 2", 4);
    let c = counting("c").depends_on(["b"]);
    let ran = app.run(vec![a.build(), b.build(), c.build()]).await.expect("it runs");
    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("a").map(|a| a["cycle"].clone()), Some(json!(2)));
    assert_eq!(ran.task("b").map(|b| b.task.facets().cycle), Some(2));
    assert_eq!(ran.result("c"), Some(&json!({ "n": 1, "cycle": 0 })));
}

#[tokio::test]
async fn a_loop_back_that_does_not_end_fails_too() {
    let a = counting("a");
    let b = counting("b").depends_on(["a"]).back_to_while("a", "true", 3);
    let ran = app().await.run(vec![a.build(), b.build()]).await.expect("it runs");
    let state = &ran.task("b").expect("it is stored").task.state;
    let State::Failed { failure } = state else { panic!("{state:?}") };
    assert_eq!(failure.kind, FailureKind::CycleLimit);
    assert_eq!(ran.task("a").map(|a| a.task.facets().cycle), Some(2));
}

#[tokio::test]
async fn a_condition_that_cannot_be_answered_fails_the_task() {
    let ran =
        app().await.run(vec![counting("a").repeat_while("result.nothing > 1", 3).build()]).await;
    let ran = ran.expect("it runs");
    let state = &ran.task("a").expect("it is stored").task.state;
    let State::Failed { failure } = state else { panic!("{state:?}") };
    assert_eq!(failure.kind, FailureKind::Expression);
}
