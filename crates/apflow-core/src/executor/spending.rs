//! What an executor knows of its budget, and how it says what it spent.

use std::sync::PoisonError;

use serde_json::Value;

use super::{Context, ExecuteError};
use crate::{
    budget::{Allowance, Usage},
    task::{Failure, FailureKind},
};

/// Most reports that one attempt makes; what comes after is added to the last one.
const MAX_REPORTS: usize = 1_000;

impl Context {
    /// Says what a call of a model spent. It counts when the attempt has ended, whatever its end is,
    /// as long as the attempt still holds its lease then.
    pub fn report_usage(&self, usage: Usage) {
        // Whoever panicked while he held it has written whole notes or none.
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = notes.usage.len() >= MAX_REPORTS;
        match notes.usage.last_mut().filter(|_| full) {
            Some(last) => {
                last.input_tokens = last.input_tokens.saturating_add(usage.input_tokens);
                last.output_tokens = last.output_tokens.saturating_add(usage.output_tokens);
                if usage.cost.is_some() || last.cost.is_some() {
                    last.cost =
                        Some(last.cost.unwrap_or_default() + usage.cost.unwrap_or_default());
                }
            }
            None => notes.usage.push(usage),
        }
    }

    /// What was put aside for this attempt. An executor that asks its provider for no more than that
    /// can overspend no budget.
    pub fn allowance(&self) -> Allowance {
        self.given.allowance
    }

    /// The model to use instead of the one the task names, if its budget comes to its limit. It stands
    /// in the input `model` as well.
    pub fn model(&self) -> Option<&str> {
        self.given.model.as_deref()
    }
}

impl ExecuteError {
    /// The allowance is used up before the work is done; `partial` is kept as the result.
    pub fn budget_exhausted(message: impl Into<String>, partial: Value) -> Self {
        let failure = Failure::new(FailureKind::BudgetExhausted, message);
        Self::Permanent { failure, result: partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Money;

    #[test]
    fn reports_without_end_take_no_memory_without_end() {
        let context = Context::detached("t");
        for _ in 0..MAX_REPORTS + 10 {
            let usage = Usage { cost: Some(Money(2)), ..Usage::tokens("m", 1, 1) };
            context.report_usage(usage);
        }
        let notes = context.notes.lock().expect("nobody panicked");
        let total: i64 = notes.usage.iter().map(Usage::total).sum();
        let cost: i64 = notes.usage.iter().filter_map(|usage| usage.cost).map(|cost| cost.0).sum();
        assert_eq!((notes.usage.len(), total, cost), (MAX_REPORTS, 2_020, 2_020));
    }
}
