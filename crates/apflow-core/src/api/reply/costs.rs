//! Budgets and costs as JSON.

use serde_json::{Value, json};

use crate::{
    budget::{Budget, BudgetKey, Money},
    store::{UsageBy, UsageLine},
};

/// A report: its lines, and their sum.
pub(super) fn costs_json(by: UsageBy, lines: &[UsageLine]) -> Value {
    let sum = |of: fn(&UsageLine) -> i64| lines.iter().map(of).fold(0_i64, i64::saturating_add);
    let (input, output) = (sum(|line| line.input_tokens), sum(|line| line.output_tokens));
    let cost = Money(sum(|line| line.cost.0));
    json!({
        "by": by.as_str(),
        "lines": lines.iter().map(line_json).collect::<Vec<_>>(),
        "input_tokens": input,
        "output_tokens": output,
        "total_tokens": input.saturating_add(output),
        "cost_usd": cost.usd(),
        "calls": sum(|line| line.calls),
    })
}

fn line_json(line: &UsageLine) -> Value {
    json!({
        "key": line.what,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "total_tokens": line.input_tokens.saturating_add(line.output_tokens),
        "cost_usd": line.cost.usd(),
        "calls": line.calls,
        "tasks": line.tasks,
        "first_at": line.first,
        "last_at": line.last,
    })
}

/// A budget as it stands.
pub(super) fn budget_json(budget: &Budget) -> Value {
    let Budget { key, limit, policy, used, reserved, since } = budget;
    let left = limit.saturating_sub(*used).saturating_sub(*reserved).max(0);
    let mut object = key_json(key);
    object["limit"] = key.unit.json(*limit);
    object["used"] = key.unit.json(*used);
    object["reserved"] = key.unit.json(*reserved);
    object["left"] = key.unit.json(left);
    object["policy"] = json!(policy);
    object["since"] = match key.period {
        crate::budget::Period::Total => Value::Null,
        _ => json!(since),
    };
    object
}

/// Which budget.
pub(super) fn key_json(key: &BudgetKey) -> Value {
    json!({
        "scope": key.scope,
        "scope_id": key.scope_id,
        "unit": key.unit,
        "period": key.period,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        budget::{Period, Scope, Unit},
        time::Timestamp,
    };

    #[test]
    fn a_budget_is_told_in_its_unit_and_nothing_is_left_below_nothing() {
        let key = BudgetKey {
            scope: Scope::User,
            scope_id: "ann".to_owned(),
            unit: Unit::Usd,
            period: Period::Total,
        };
        let (limit, used, reserved) = (2_000_000, 1_500_000, 700_000);
        let since = Timestamp(0);
        let budget = Budget { key, limit, policy: None, used, reserved, since };
        let told = budget_json(&budget);
        assert_eq!((&told["limit"], &told["used"]), (&json!(2.0), &json!(1.5)));
        assert_eq!((&told["left"], &told["since"]), (&json!(0.0), &Value::Null));
    }
}
