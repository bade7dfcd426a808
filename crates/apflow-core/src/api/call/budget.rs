//! Reading the parameters of the operations on budgets and costs.

use serde_json::Value;

use super::{Call, ID, Read, query::page};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    budget::{BudgetKey, Money, Period, Scope, Unit},
    id::{MAX_ID_CHARS, TaskId},
    store::{NewBudget, Page, UsageBy, UsageFilter},
    time::Timestamp,
};

/// Which budgets to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    /// Of one scope.
    pub scope: Option<Scope>,
    /// Of one task, tree or owner.
    pub scope_id: Option<String>,
    /// Which part.
    pub page: Page,
}

/// What somebody decided about a task that asked before it spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecideBudget {
    /// The task.
    pub task: TaskId,
    /// It may go on.
    pub approve: bool,
}

/// Names of policies and models are no longer than this.
const MAX_NAME: usize = 100;

pub(super) fn report(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("cost.report", params)?;
    let words = UsageBy::ALL.map(UsageBy::as_str);
    let filter = UsageFilter {
        by: word(&mut params, "by", &words, UsageBy::parse)?.unwrap_or_default(),
        task_id: short(&mut params, "task_id", MAX_ID_CHARS)?,
        tree_id: short(&mut params, "tree_id", MAX_ID_CHARS)?,
        user_id: short(&mut params, "user_id", MAX_ID_CHARS)?,
        model: short(&mut params, "model", MAX_ID_CHARS)?,
        since: moment(&mut params, "since")?,
        until: moment(&mut params, "until")?,
        limit: params.number("limit", Page::default().limit, Page::MAX)?,
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && until < since
    {
        let expected = format!("a moment not before {since}");
        return Err(ApiError::invalid("until", expected, until.to_string()));
    }
    Ok(Read { call: Call::CostReport(Box::new(filter)), warnings: params.warnings() })
}

pub(super) fn list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("budgets.list", params)?;
    let budgets = Budgets {
        scope: word(&mut params, "scope", &Scope::ALL.map(Scope::as_str), Scope::parse)?,
        scope_id: short(&mut params, "scope_id", MAX_ID_CHARS)?,
        page: page(&mut params, Page::default().limit)?,
    };
    Ok(Read { call: Call::BudgetList(budgets), warnings: params.warnings() })
}

pub(super) fn set(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("budgets.set", params)?;
    let key = key(&mut params)?;
    let Some((name, limit)) = params.take(&["limit"]) else {
        let expected = "a number of tokens, or of dollars";
        return Err(ApiError::missing("limit", expected, "limit is required"));
    };
    let read = match key.unit {
        Unit::Tokens => limit.as_i64().filter(|limit| *limit >= 0),
        Unit::Usd => limit.as_f64().and_then(Money::from_usd).map(|money| money.0),
    };
    let expected = match key.unit {
        Unit::Tokens => "a whole number of tokens from 0",
        Unit::Usd => "a number of dollars from 0",
    };
    let limit = read.ok_or_else(|| ApiError::invalid(name, expected, describe(&limit)))?;
    let policy = short(&mut params, "policy", MAX_NAME)?;
    let budget = NewBudget { key, limit, policy };
    Ok(Read { call: Call::BudgetSet(Box::new(budget)), warnings: params.warnings() })
}

pub(super) fn delete(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("budgets.delete", params)?;
    let key = key(&mut params)?;
    Ok(Read { call: Call::BudgetDelete(Box::new(key)), warnings: params.warnings() })
}

pub(super) fn decide(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("budgets.decide", params)?;
    let Some(task) = params.id(ID)? else {
        return Err(ApiError::missing("task_id", "a task id", "task_id is required"));
    };
    if !params.has("approve") {
        return Err(ApiError::missing("approve", "true or false", "approve is required"));
    }
    let approve = params.flag("approve", false)?;
    let call = Call::BudgetDecide(DecideBudget { task, approve });
    Ok(Read { call, warnings: params.warnings() })
}

fn key(params: &mut Params) -> Result<BudgetKey, ApiError> {
    let scopes = Scope::ALL.map(Scope::as_str);
    let scope = word(params, "scope", &scopes, Scope::parse)?
        .ok_or_else(|| ApiError::missing("scope", &one_of(&scopes), "scope is required"))?;
    let scope_id = short(params, "scope_id", MAX_ID_CHARS)?;
    let scope_id = match (scope, scope_id) {
        (Scope::Global, None) => String::new(),
        (Scope::Global, Some(id)) => {
            let expected = "absent for the scope global";
            return Err(ApiError::invalid("scope_id", expected, describe(&id.into())));
        }
        (_, Some(id)) => id,
        (_, None) => {
            let expected = "the task, the tree or the owner";
            return Err(ApiError::missing("scope_id", expected, "scope_id is required"));
        }
    };
    let unit = word(params, "unit", &Unit::ALL.map(Unit::as_str), Unit::parse)?;
    let period = word(params, "period", &Period::ALL.map(Period::as_str), Period::parse)?;
    Ok(BudgetKey {
        scope,
        scope_id,
        unit: unit.unwrap_or(Unit::Tokens),
        period: period.unwrap_or_default(),
    })
}

fn one_of(words: &[&str]) -> String {
    format!("one of {}", words.join(", "))
}

fn word<T>(
    params: &mut Params,
    name: &'static str,
    words: &[&str],
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let Some(word) = params.text(name)? else { return Ok(None) };
    let wrong = || ApiError::invalid(name, one_of(words), describe(&word.clone().into()));
    parse(&word).map(Some).ok_or_else(wrong)
}

fn short(params: &mut Params, name: &'static str, most: usize) -> Result<Option<String>, ApiError> {
    let text = params.text(name)?.filter(|text| !text.is_empty());
    let fits = |text: &String| text.chars().count() <= most && !text.contains('\0');
    match text {
        Some(text) if !fits(&text) => {
            let expected = format!("a text of at most {most} characters without U+0000");
            Err(ApiError::invalid(name, expected, describe(&text.into())))
        }
        text => Ok(text),
    }
}

const MOMENT: &str = "a date and time like 2026-11-20T15:26:11Z";

fn moment(params: &mut Params, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
    let Some((_, value)) = params.take(&[name]) else { return Ok(None) };
    let read = value.as_str().filter(|text| text.len() <= 64).and_then(|text| text.parse().ok());
    read.map(Some).ok_or_else(|| ApiError::invalid(name, MOMENT, describe(&value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_limit_is_read_in_its_unit() {
        let read = |params| match Call::read("budgets.set", params).map(|read| read.call) {
            Ok(Call::BudgetSet(budget)) => Ok(budget.limit),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.problems[0].field.clone()),
        };
        let user = json!({"scope": "user", "scope_id": "ann", "limit": 5});
        assert_eq!(read(user.clone()), Ok(5));
        let with = |field: &str, value: Value| {
            let mut params = user.clone();
            params[field] = value;
            params
        };
        assert_eq!(read(with("unit", json!("usd"))), Ok(5_000_000));
        let field = |name: &str| Err(Some(name.to_owned()));
        assert_eq!(read(with("limit", json!(0.5))), field("limit"), "half a token");
        assert_eq!(read(with("limit", json!(-1))), field("limit"));
        assert_eq!(read(with("scope", json!("team"))), field("scope"));
        assert_eq!(read(with("scope", json!("global"))), field("scope_id"));
        assert_eq!(read(with("scope_id", Value::Null)), field("scope_id"));
    }

    #[test]
    fn a_decision_says_yes_or_no() {
        let silent = Call::read("budgets.decide", json!({"task_id": "a"})).expect_err("neither");
        assert_eq!(silent.problems[0].field.as_deref(), Some("approve"));
        let read = Call::read("budgets.decide", json!({"task_id": "a", "approve": false}));
        assert!(matches!(read.expect("a no").call, Call::BudgetDecide(no) if !no.approve));
    }
}
