//! What an attempt says it spent, what a task has spent, and what is left for an attempt.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Money;

/// What one call of a model spent; an attempt may report several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The model, as its provider calls it.
    pub model: Option<String>,
    /// Tokens that went in.
    pub input_tokens: u64,
    /// Tokens that came out.
    pub output_tokens: u64,
    /// What it cost; none: the price table says.
    pub cost: Option<Money>,
}

impl Usage {
    /// Tokens of a model, to be priced from the table.
    pub fn tokens(model: impl Into<String>, input: u64, output: u64) -> Self {
        Self { model: Some(model.into()), input_tokens: input, output_tokens: output, cost: None }
    }

    /// Input and output together.
    pub fn total(&self) -> i64 {
        i64::try_from(self.input_tokens.saturating_add(self.output_tokens)).unwrap_or(i64::MAX)
    }

    /// Whether it says that anything was spent.
    pub fn is_nothing(&self) -> bool {
        self.total() == 0 && self.cost.is_none_or(|cost| cost == Money::ZERO)
    }
}

/// What a task has spent in this run, over all attempts and passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spent {
    /// Tokens that went in.
    pub input: u64,
    /// Tokens that came out.
    pub output: u64,
    /// What it cost, in millionths of a dollar.
    pub micros: i64,
}

impl Spent {
    /// Adds what an attempt reported.
    pub fn add(&mut self, usage: &Usage) {
        self.input = self.input.saturating_add(usage.input_tokens);
        self.output = self.output.saturating_add(usage.output_tokens);
        self.micros = self.micros.saturating_add(usage.cost.unwrap_or_default().0);
    }

    /// Input and output together.
    pub fn total(&self) -> i64 {
        i64::try_from(self.input.saturating_add(self.output)).unwrap_or(i64::MAX)
    }
}

/// What was put aside for an attempt: an executor that keeps to it can overspend no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// At most so many tokens; none: nothing bounds them.
    pub tokens: Option<i64>,
    /// At most so much money; none: nothing bounds it.
    pub money: Option<Money>,
}

/// The usage in a result of the shape `{"token_usage": {"input", "output", "total"}, "model", "cost_usd"}`,
/// which executors of the Python versions return.
pub fn said_in(result: &Value) -> Option<Usage> {
    let usage = result.get("token_usage")?.as_object()?;
    let count = |key: &str| usage.get(key).and_then(Value::as_u64);
    let (input, output, total) = (count("input"), count("output"), count("total"));
    let input_tokens =
        input.unwrap_or_else(|| total.unwrap_or(0).saturating_sub(output.unwrap_or(0)));
    let output_tokens = output.unwrap_or_else(|| total.unwrap_or(0).saturating_sub(input_tokens));
    let model = ["model", "model_name"].iter().find_map(|key| result.get(key)?.as_str());
    let cost = ["cost_usd", "actual_cost_usd"].iter().find_map(|key| result.get(key)?.as_f64());
    let said = Usage {
        model: model.map(str::to_owned),
        input_tokens,
        output_tokens,
        cost: cost.and_then(Money::from_usd),
    };
    (!said.is_nothing()).then_some(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usage_in_a_result_of_the_old_shape_is_read() {
        let result = json!({"text": "x", "model": "m", "token_usage": {"input": 10, "output": 5}});
        assert_eq!(said_in(&result), Some(Usage::tokens("m", 10, 5)));
        let only_total = json!({"token_usage": {"total": 7}, "cost_usd": 0.5});
        let said = said_in(&only_total).expect("usage");
        assert_eq!((said.total(), said.cost, said.model), (7, Some(Money(500_000)), None));
        let total_and_input = said_in(&json!({"token_usage": {"total": 9, "input": 4}}));
        assert_eq!(
            total_and_input.map(|said| (said.input_tokens, said.output_tokens)),
            Some((4, 5))
        );
    }

    #[test]
    fn what_is_no_usage_is_none() {
        for result in [
            json!(null),
            json!({"token_usage": null}),
            json!({"token_usage": "12"}),
            json!({"token_usage": {"input": -4, "total": 0}}),
            json!([{"token_usage": {"total": 1}}]),
        ] {
            assert_eq!(said_in(&result), None, "{result}");
        }
    }

    #[test]
    fn what_attempts_spent_adds_up_and_never_overflows() {
        let mut spent = Spent::default();
        spent.add(&Usage { cost: Some(Money(3)), ..Usage::tokens("m", 10, 5) });
        spent.add(&Usage { cost: Some(Money(4)), ..Usage::tokens("m", 1, u64::MAX) });
        assert_eq!((spent.input, spent.output, spent.micros), (11, u64::MAX, 7));
        assert_eq!(spent.total(), i64::MAX);
    }
}
