//! Budgets: nothing begins without something put aside for it, and nothing is put aside twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    budget::{Budget, BudgetKey, Money, Period, Policy, Price, Rules, Scope, Unit, Usage},
    id::NodeId,
    store::{
        BudgetDecision, BudgetFilter, Claim, Claimed, EventKind, NewBudget, Page, Settlement,
        StoreError, Submission, UsageBy, UsageFilter,
    },
    task::{FailureKind, Governance, HeldBy, State, StateName},
};
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, stumbled},
    done, failed, forest, handed_back,
};

const PAGE: Page = Page { limit: 100, offset: 0 };

/// Stores a forest whose tasks all spend, in the name of `user`.
async fn submit(bed: &Bed, text: &str, user: &str, governance: Governance) {
    let mut submission = forest(text);
    for task in &mut submission.tasks {
        task.definition.user_id = Some(user.to_owned());
        task.definition.governance = governance.clone();
    }
    bed.insert(Submission { ..submission }).await;
}

fn needing(tokens: i64) -> Governance {
    Governance { estimate_tokens: Some(tokens), ..Governance::default() }
}

fn of_user(user: &str, period: Period) -> BudgetKey {
    BudgetKey { scope: Scope::User, scope_id: user.to_owned(), unit: Unit::Tokens, period }
}

async fn set(bed: &Bed, key: BudgetKey, limit: i64, policy: Option<&str>) -> Budget {
    let policy = policy.map(str::to_owned);
    bed.store.set_budget(NewBudget { key, limit, policy }).await.expect("it is set")
}

async fn the_only(bed: &Bed) -> Budget {
    let mut all = bed.store.budgets(&BudgetFilter::default(), PAGE).await.expect("a list");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn spending(settlement: Settlement, tokens: u64) -> Settlement {
    spending_on(settlement, Usage::tokens("m", tokens, 0))
}

fn spending_on(mut settlement: Settlement, usage: Usage) -> Settlement {
    settlement.notes.usage.push(usage);
    settlement
}

fn rules(policies: &[(&str, &str, f64, &[&str])]) -> Arc<Rules> {
    let mut rules = Rules::default();
    for (name, action, threshold, chain) in policies {
        let chain = chain.iter().map(|model| (*model).to_owned()).collect();
        let policy = Policy::read(action, *threshold, chain).expect("a policy");
        rules.policies.insert((*name).to_owned(), policy);
    }
    rules.prices.set("m", Price { input: Money(1_000_000), output: Money(1_000_000) });
    Arc::new(rules)
}

async fn claim_by(bed: &Bed, rules: &Arc<Rules>, limit: u32) -> Vec<Claimed> {
    let wish = Claim { rules: Arc::clone(rules), ..bed.wish(limit) };
    bed.store.settle(Vec::new(), Some(wish)).await.expect("a claim").claimed
}

/// What is put aside for the attempt of one is not there for another, who waits for it.
pub async fn p8_two_spenders_of_one_budget_never_pass_its_limit(bed: &Bed) {
    set(bed, of_user("u", Period::Total), 100, None).await;
    submit(bed, "a; b", "u", needing(80)).await;
    let first = bed.claim(10).await;
    assert_eq!((first.len(), first[0].given.allowance.tokens), (1, Some(80)));
    let held = bed.record("b").await.task.held.expect("b waits");
    assert_eq!((held.by, held.key.as_str()), (HeldBy::Budget, "user:u"));
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (0, 80));
    let settled = bed.settle_and_claim(vec![spending(done(&first[0], json!(1)), 70)], 0).await;
    assert!(settled.more, "b looks again");
    let second = bed.claim_one().await;
    assert_eq!(second.given.allowance.tokens, Some(30), "it gets what is left");
    bed.settle(vec![spending(done(&second, json!(1)), 30)]).await;
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (100, 0));
}

/// A budget that is used up ends the task with a kind of its own, and what it had returned stays.
pub async fn a_used_up_budget_ends_the_task_and_says_so(bed: &Bed) {
    set(bed, of_user("u", Period::Total), 50, None).await;
    submit(bed, "a; b <a; c ?b", "u", needing(50)).await;
    let held = bed.claim_one().await;
    bed.settle(vec![spending(done(&held, json!("partial")), 50)]).await;
    assert!(bed.claim(10).await.is_empty(), "nothing is left for b and c");
    let State::Failed { failure } = bed.record("b").await.task.state else { panic!("b failed") };
    assert_eq!(failure.kind, FailureKind::BudgetExhausted);
    assert!(failure.message.contains("user u: 50 tokens of 50 tokens"), "{}", failure.message);
    bed.claim(10).await;
    assert_eq!(bed.states("a b c").await, "completed failed failed");
    assert_eq!(bed.record("a").await.result, Some(json!("partial")));
    assert!(!bed.run("a").await.running, "its run ends");
}

/// The budget of a task holds for all attempts of a run together, and begins anew with the next run.
pub async fn failed_attempts_spend_from_the_budget_of_their_task(bed: &Bed) {
    let governance = Governance { token_budget: Some(100), ..Governance::default() };
    submit(bed, "a x5", "u", governance).await;
    let first = bed.claim_one().await;
    assert_eq!(first.given.allowance.tokens, Some(100));
    bed.settle(vec![spending(stumbled(&first, Some(Duration::ZERO)), 60)]).await;
    bed.pass(Duration::from_secs(1)).await;
    let second = bed.claim_one().await;
    assert_eq!(second.given.allowance.tokens, Some(40));
    bed.settle(vec![spending(stumbled(&second, Some(Duration::ZERO)), 40)]).await;
    bed.pass(Duration::from_secs(1)).await;
    assert!(bed.claim(1).await.is_empty());
    let record = bed.record("a").await;
    assert_eq!(
        (record.task.state.name(), record.task.facets().spent.total()),
        (StateName::Failed, 100)
    );
    bed.begin("a", true).await.expect("it runs again");
    assert_eq!(bed.claim_one().await.given.allowance.tokens, Some(100), "a new run");
}

/// Whatever ends a lease releases what was put aside, and only a report that counts is charged.
pub async fn a_lost_lease_gives_back_its_part_of_a_budget_and_is_charged_nothing(bed: &Bed) {
    set(bed, of_user("u", Period::Total), 100, None).await;
    submit(bed, "a", "u", needing(100)).await;
    let lost = bed.claim_one().await;
    assert_eq!(the_only(bed).await.reserved, 100);
    bed.pass(LEASE * 2).await;
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (0, 0));
    let again = bed.claim_one().await;
    let late = vec![spending(done(&lost, json!(1)), 90)];
    let settled = bed.store.settle(late, None).await.expect("an answer");
    assert_eq!(settled.refused.len(), 1, "it comes too late");
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (0, 100));
    bed.settle(vec![spending(handed_back(&again), 10)]).await;
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (10, 0));
    let third = bed.claim_one().await;
    assert_eq!(third.given.allowance.tokens, Some(90));
    bed.cancel("a").await;
    assert_eq!((the_only(bed).await.used, the_only(bed).await.reserved), (10, 0));
}

/// Several budgets bound one attempt, the tightest the most.
pub async fn every_budget_that_concerns_a_task_bounds_it(bed: &Bed) {
    let scope = |scope, id: &str, unit| BudgetKey {
        scope,
        scope_id: id.to_owned(),
        unit,
        period: Period::Total,
    };
    set(bed, scope(Scope::Global, "", Unit::Tokens), 1_000, None).await;
    set(bed, scope(Scope::Tree, "tree-a", Unit::Usd), 30, None).await;
    set(bed, of_user("u", Period::Total), 500, None).await;
    set(bed, of_user("somebody else", Period::Total), 1, None).await;
    let governance = Governance { estimated_cost_usd: Some(0.01), ..needing(400) };
    submit(bed, "a; b", "u", governance).await;
    let mut claimed = bed.claim(10).await;
    assert_eq!(claimed.len(), 1, "the user's budget has no room for both");
    let a = claimed.remove(0);
    assert_eq!(a.given.allowance.money, Some(Money(30)));
    assert_eq!(a.given.allowance.tokens, Some(400));
    let cost = Usage { cost: Some(Money(30)), ..Usage::tokens("m", 100, 7) };
    bed.settle(vec![spending_on(done(&a, json!(1)), cost)]).await;
    let all = bed.store.budgets(&BudgetFilter::default(), PAGE).await.expect("a list");
    let used: Vec<i64> = all.iter().map(|budget| budget.used).collect();
    assert_eq!(used, [107, 30, 0, 107], "{all:?}");
    let trees = BudgetFilter { scope: Some(Scope::Tree), scope_id: None };
    assert_eq!(bed.store.budgets(&trees, PAGE).await.expect("a list").len(), 1);
}

/// A day's budget is whole again the next day, and who waits for it does so no longer.
pub async fn a_budget_begins_anew_with_its_period(bed: &Bed) {
    set(bed, of_user("u", Period::Day), 100, None).await;
    submit(bed, "a; b", "u", needing(100)).await;
    let a = bed.claim_one().await;
    assert!(bed.record("b").await.task.held.is_some_and(|held| held.until.is_some()));
    bed.settle(vec![spending(failed(&a), 40)]).await;
    assert_eq!(the_only(bed).await.used, 40);
    bed.clock.advance(Duration::from_hours(24));
    assert_eq!(the_only(bed).await.used, 0);
    let b = bed.claim_one().await;
    assert_eq!(b.given.allowance.tokens, Some(100));
    bed.settle(vec![spending(done(&b, json!(1)), 5)]).await;
    assert_eq!(the_only(bed).await.used, 5);
}

/// Before the limit a policy changes the model or tells somebody, and it never stops by mistake.
pub async fn policies_of_budgets_act_from_their_threshold_on(bed: &Bed) {
    let rules =
        rules(&[("cheaper", "downgrade", 0.5, &["l", "m", "s"]), ("tell", "notify", 0.1, &[])]);
    set(bed, of_user("u", Period::Total), 100, Some("cheaper")).await;
    set(bed, of_user("u", Period::Day), 10, Some("tell")).await;
    submit(bed, "a; b ^a <a; c ^a <b", "u", needing(5)).await;
    let mut models = Vec::new();
    for spent in [50, 30, 20] {
        let mut claimed = claim_by(bed, &rules, 1).await;
        let held = claimed.remove(0);
        models.push((held.given.model.clone(), held.given.notices.len()));
        bed.settle(vec![spending(done(&held, json!(1)), spent)]).await;
    }
    let said = [(None, 0), (Some("m".to_owned()), 1), (Some("s".to_owned()), 1)];
    assert_eq!(models, said);
    assert_eq!(bed.count_of("tree-a", EventKind::BudgetNoticed).await, 2);
}

/// A task whose budget asks holds nothing until somebody decides; a yes opens it, a no ends it.
pub async fn a_budget_that_asks_waits_for_a_decision(bed: &Bed) {
    let rules = rules(&[("ask", "ask", 1.0, &[])]);
    set(bed, of_user("u", Period::Total), 0, Some("ask")).await;
    submit(bed, "a; b", "u", needing(5)).await;
    assert!(claim_by(bed, &rules, 10).await.is_empty());
    assert_eq!(bed.states("a b").await, "waiting waiting");
    assert_eq!(the_only(bed).await.reserved, 0);
    let decide = async |task: &str, approve: bool| {
        let decision = BudgetDecision { approve, by: Some("boss".to_owned()) };
        bed.store.decide_budget(&task.into(), decision).await
    };
    decide("a", true).await.expect("decided");
    decide("b", false).await.expect("decided");
    let again = decide("b", true).await.expect_err("it was decided");
    assert!(matches!(again, StoreError::Refused { .. }), "{again:?}");
    assert!(matches!(decide("x", true).await, Err(StoreError::NoSuchTask(_))));
    let mut claimed = claim_by(bed, &rules, 10).await;
    assert_eq!(claimed.len(), 1);
    let held = claimed.remove(0);
    assert_eq!((held.attempt, held.given.allowance.tokens), (1, None), "asking was no attempt");
    bed.settle(vec![spending(done(&held, json!(1)), 7)]).await;
    let State::Failed { failure } = bed.record("b").await.task.state else { panic!("b failed") };
    assert_eq!(failure.kind, FailureKind::BudgetExhausted);
    assert_eq!(failure.message, "more spending was denied by boss");
}

/// What was spent before a budget was set counts, and a higher limit wakes those who wait.
pub async fn a_budget_counts_what_was_spent_before_it_was_set(bed: &Bed) {
    submit(bed, "a; b; c", "u", needing(100)).await;
    let held = bed.claim(2).await;
    bed.settle(vec![spending(done(&held[0], json!(1)), 60)]).await;
    let budget = set(bed, of_user("u", Period::Total), 160, None).await;
    assert_eq!((budget.used, budget.reserved), (60, 100), "with what runs");
    assert!(bed.claim(1).await.is_empty());
    assert!(bed.record("c").await.task.held.is_some());
    let budget = set(bed, of_user("u", Period::Total), 260, None).await;
    assert_eq!(budget.used, 60);
    assert_eq!(bed.claim_one().await.given.allowance.tokens, Some(100));
    let key = of_user("u", Period::Total);
    assert!(bed.store.delete_budget(&key).await.expect("an answer"));
    assert!(!bed.store.delete_budget(&key).await.expect("an answer"));
}

/// A report sums up what was spent by whatever is asked for.
pub async fn what_budgets_went_into_is_summed_up_by_what_is_asked_for(bed: &Bed) {
    submit(bed, "a; b", "u", needing(1)).await;
    submit(bed, "c", "v", needing(1)).await;
    let usage = |model: &str, tokens, micros| Usage {
        cost: Some(Money(micros)),
        ..Usage::tokens(model, tokens, 1)
    };
    for held in bed.claim(10).await {
        let mut settlement = done(&held, json!(1));
        settlement.notes.usage.push(usage("m", 10, 5));
        if held.id.as_str() == "c" {
            settlement.notes.usage.push(usage("n", 100, 50));
        }
        bed.settle(vec![settlement]).await;
    }
    let report = async |filter: UsageFilter| {
        let lines = bed.store.usage(&UsageFilter { limit: 100, ..filter }).await.expect("a report");
        let line = |line: apflow_core::store::UsageLine| {
            (line.what.unwrap_or_default(), line.input_tokens, line.cost.0, line.calls, line.tasks)
        };
        lines.into_iter().map(line).collect::<Vec<_>>()
    };
    let by = |by| UsageFilter { by, ..UsageFilter::default() };
    let line = |what: &str, input, cost, calls, tasks| (what.to_owned(), input, cost, calls, tasks);
    assert_eq!(report(by(UsageBy::Nothing)).await, [line("", 130, 65, 4, 3)]);
    assert_eq!(
        report(by(UsageBy::User)).await,
        [line("v", 110, 55, 2, 1), line("u", 20, 10, 2, 2)]
    );
    assert_eq!(
        report(by(UsageBy::Model)).await,
        [line("n", 100, 50, 1, 1), line("m", 30, 15, 3, 3)]
    );
    assert_eq!(report(by(UsageBy::Day)).await, [line("2023-11-14", 130, 65, 4, 3)]);
    assert_eq!(report(by(UsageBy::Month)).await, [line("2023-11", 130, 65, 4, 3)]);
    assert_eq!(report(by(UsageBy::Task)).await.len(), 3);
    assert_eq!(report(by(UsageBy::Tree)).await.len(), 3);
    let of_v =
        UsageFilter { user_id: Some("v".into()), model: Some("m".into()), ..by(UsageBy::Task) };
    assert_eq!(report(of_v).await, [line("c", 10, 5, 1, 1)]);
    bed.clock.advance(Duration::from_hours(1));
    let hour = Duration::from_mins(30);
    assert_eq!(bed.store.forget_usage(hour * 3, 100).await.expect("an answer"), 0);
    assert_eq!(bed.store.forget_usage(hour, 3).await.expect("an answer"), 3);
    assert_eq!(report(by(UsageBy::Nothing)).await.len(), 1);
}

/// A task that says nothing of spending passes by every budget, and what it reports all the same counts.
pub async fn a_task_that_does_not_spend_waits_for_no_budget(bed: &Bed) {
    set(bed, of_user("u", Period::Total), 0, None).await;
    submit(bed, "a", "u", Governance::default()).await;
    let held = bed.claim_one().await;
    assert_eq!(held.given.allowance.tokens, None);
    assert_eq!(the_only(bed).await.reserved, 0);
    bed.settle(vec![spending(done(&held, json!(1)), 3)]).await;
    assert_eq!(the_only(bed).await.used, 3);
}

/// Many spend at once and some of them vanish: the limit holds, and in the end nothing is put aside.
pub async fn g9_many_spenders_with_crashes_never_pass_the_limit_of_a_budget(bed: &Bed) {
    const LIMIT: i64 = 2_000;
    set(bed, of_user("u", Period::Total), LIMIT, None).await;
    let names: Vec<String> = (0..160).map(|at| format!("t{at} x9")).collect();
    submit(bed, &names.join("; "), "u", needing(40)).await;
    let dice = AtomicU64::new(7);
    let roll = |below: u64| {
        // One generator for all spenders; the order in which they ask is chance enough.
        let next = |seed: u64| {
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
        };
        let seed = dice.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |seed| Some(next(seed)));
        (seed.unwrap_or(0) >> 33) % below
    };
    for round in 0..60 {
        let spenders = (0..64).map(|at| {
            let roll = &roll;
            async move {
                let wish = Claim { worker: NodeId::new(format!("w{at}")), ..bed.wish(2) };
                let settled = bed.store.settle(Vec::new(), Some(wish)).await.expect("a claim");
                let mut kept = Vec::new();
                for held in settled.claimed {
                    let most = held.given.allowance.tokens.expect("the budget bounds it");
                    let spent = roll(u64::try_from(most).expect("above nothing") + 1);
                    match roll(4) {
                        // It vanishes, and its lease ends by and by.
                        0 => {}
                        1 => kept.push(spending(stumbled(&held, Some(Duration::ZERO)), spent)),
                        2 => kept.push(spending(handed_back(&held), spent)),
                        _ => kept.push(spending(done(&held, json!(1)), spent)),
                    }
                }
                let count = kept.len();
                let settled = bed.store.settle(kept, None).await.expect("an answer");
                assert_eq!(settled.refused.len(), 0, "no lease has ended, {count}");
            }
        });
        futures_util::future::join_all(spenders).await;
        let budget = the_only(bed).await;
        assert!(budget.used + budget.reserved <= LIMIT, "round {round}: {budget:?}");
        assert!(budget.reserved >= 0);
        bed.pass(LEASE * 2).await;
        let budget = the_only(bed).await;
        assert_eq!(budget.reserved, 0, "round {round}: all leases have ended");
        if budget.used == LIMIT {
            break;
        }
    }
    let budget = the_only(bed).await;
    assert!(budget.used > LIMIT / 2, "much was spent: {budget:?}");
    let all = UsageFilter { limit: 1, ..UsageFilter::default() };
    let lines = bed.store.usage(&all).await.expect("a report");
    let sum: i64 = lines.iter().map(|line| line.input_tokens + line.output_tokens).sum();
    assert_eq!(sum, budget.used, "every report counts once");
    while !bed.claim(100).await.is_empty() {
        bed.pass(LEASE * 2).await;
    }
    assert_eq!(the_only(bed).await.reserved, 0);
}
