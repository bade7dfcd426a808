//! Budgets and what was spent: cost.report, budgets.list, set, delete, decide.

use super::owner;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{Budgets, DecideBudget},
    },
    budget::{BudgetKey, Scope},
    code::Code,
    id::{TaskId, TreeId},
    store::{BudgetDecision, BudgetFilter, NewBudget, StoreError, UsageFilter},
    task::{State, WaitFor},
};

pub(crate) async fn report(
    gateway: &Gateway,
    caller: &Caller,
    mut filter: UsageFilter,
) -> Result<Reply, ApiError> {
    filter.user_id = owner(caller, filter.user_id, "read the costs of")?;
    let by = filter.by;
    if filter.limit == 0 {
        return Ok(Reply::Costs { by, lines: Vec::new() });
    }
    let lines = gateway.backend.budgets().usage(&filter).await?;
    Ok(Reply::Costs { by, lines })
}

pub(crate) async fn list(
    gateway: &Gateway,
    caller: &Caller,
    list: Budgets,
) -> Result<Reply, ApiError> {
    let Budgets { scope, scope_id, page } = list;
    let mut filter = BudgetFilter { scope, scope_id };
    if let Some(mine) = caller.bound_to() {
        match (filter.scope, filter.scope_id.as_deref()) {
            (Some(scope @ (Scope::Task | Scope::Tree)), Some(id)) => {
                own(gateway, caller, scope, id).await?;
            }
            (None | Some(Scope::User), id) if id.is_none_or(|id| id == mine) => {
                filter = BudgetFilter { scope: Some(Scope::User), scope_id: Some(mine.to_owned()) };
            }
            _ => return Err(not_yours()),
        }
    }
    if page.limit == 0 {
        return Ok(Reply::Budgets(Vec::new()));
    }
    Ok(Reply::Budgets(gateway.backend.budgets().budgets(&filter, page).await?))
}

pub(crate) async fn set(
    gateway: &Gateway,
    caller: &Caller,
    budget: NewBudget,
) -> Result<Reply, ApiError> {
    may_change(gateway, caller, budget.key.scope, &budget.key.scope_id).await?;
    if let (Some(name), Some(rules)) = (&budget.policy, gateway.backend.rules())
        && !rules.policies.contains_key(name)
    {
        let known: Vec<&str> = rules.policies.keys().map(String::as_str).collect();
        let expected = match known.as_slice() {
            [] => "absent, for no policy is configured".to_owned(),
            known => format!("one of {}", known.join(", ")),
        };
        return Err(ApiError::invalid("policy", expected, format!("`{name}`")));
    }
    let set = gateway.backend.budgets().set_budget(budget).await?;
    Ok(Reply::Budget(Box::new(set)))
}

pub(crate) async fn delete(
    gateway: &Gateway,
    caller: &Caller,
    key: BudgetKey,
) -> Result<Reply, ApiError> {
    if !matches!(key.scope, Scope::Task | Scope::Tree) || caller.bound_to().is_some() {
        may_change(gateway, caller, key.scope, &key.scope_id).await?;
    }
    if !gateway.backend.budgets().delete_budget(&key).await? {
        return Err(ApiError::new(Code::NoBudget, format!("there is no such budget: {key}"))
            .hint("budgets.list shows those there are; unit and period belong to the name"));
    }
    Ok(Reply::BudgetDeleted(Box::new(key)))
}

pub(crate) async fn decide(
    gateway: &Gateway,
    caller: &Caller,
    decision: DecideBudget,
) -> Result<Reply, ApiError> {
    let DecideBudget { task, approve } = decision;
    let record = gateway.existing(caller, &task).await?;
    let State::Waiting { wait, .. } = &record.task.state else { return Err(asks_nothing(&task)) };
    if wait.what != WaitFor::Budget {
        return Err(asks_nothing(&task));
    }
    // Whoever is held to a budget does not lift it.
    let scope = wait.detail.get("scope").and_then(serde_json::Value::as_str).and_then(Scope::parse);
    if caller.bound_to().is_some() && !matches!(scope, Some(Scope::Task | Scope::Tree)) {
        return Err(not_yours());
    }
    let decision = BudgetDecision { approve, by: caller.user_id.clone() };
    let decided = gateway.backend.budgets().decide_budget(&task, decision).await;
    decided.map_err(|error| match error {
        StoreError::Refused { .. } => asks_nothing(&task),
        other => other.into(),
    })?;
    Ok(Reply::Task(Some(Box::new(gateway.existing(caller, &task).await?))))
}

/// A budget of a task or a tree may be set by its owner, any other by an admin.
async fn may_change(
    gateway: &Gateway,
    caller: &Caller,
    scope: Scope,
    id: &str,
) -> Result<(), ApiError> {
    match scope {
        Scope::Task | Scope::Tree => own(gateway, caller, scope, id).await,
        Scope::User | Scope::Global if caller.bound_to().is_none() => Ok(()),
        Scope::User | Scope::Global => Err(not_yours()),
    }
}

/// The task or tree, if there is one and the caller may know of it.
async fn own(gateway: &Gateway, caller: &Caller, scope: Scope, id: &str) -> Result<(), ApiError> {
    let task = match scope {
        Scope::Tree => {
            let run = gateway.backend.trees().run_of_tree(&TreeId::new(id)).await?;
            run.map(|run| run.tree.root)
                .ok_or_else(|| ApiError::new(Code::NotFound, format!("there is no tree {id}")))?
        }
        _ => TaskId::new(id),
    };
    gateway.existing(caller, &task).await.map(drop)
}

fn not_yours() -> ApiError {
    let detail = "budgets of owners and of everything are an admin's affair";
    ApiError::new(Code::Forbidden, detail)
        .hint("ask for the budgets of your own `user_id`, tasks and trees")
}

fn asks_nothing(task: &TaskId) -> ApiError {
    let detail = format!("task {task} does not wait for a decision about its budget");
    ApiError::new(Code::NotAsking, detail).hint("look at its `state` with tasks.get")
}
