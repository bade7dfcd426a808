//! What a configuration says about spending: prices, policies, estimates.

use std::collections::BTreeMap;

use super::{Demand, Money, Policy, Prices};
use crate::task::{Definition, Governance};

/// How many tokens an attempt is thought to need where nobody says.
pub const DEFAULT_ESTIMATE: i64 = 4_096;

/// What a worker brings along when it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What models cost.
    pub prices: Prices,
    /// What happens near a limit, by name.
    pub policies: BTreeMap<String, Policy>,
    /// The policy of budgets and tasks that name none; none: block at the limit.
    pub default_policy: Option<String>,
    /// Executors whose tasks spend, and how many tokens one attempt is thought to need.
    pub executors: BTreeMap<String, i64>,
    /// How many tokens an attempt is thought to need where nobody says.
    pub estimate: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            prices: Prices::default(),
            policies: BTreeMap::new(),
            default_policy: None,
            executors: BTreeMap::new(),
            estimate: DEFAULT_ESTIMATE,
        }
    }
}

impl Rules {
    /// What an attempt of this task is thought to need, if the task spends at all.
    ///
    /// A task spends if its author says anything about spending, or if its executor is known to.
    pub fn demand(&self, definition: &Definition) -> Option<Demand> {
        let executor = definition.executor().and_then(|id| self.executors.get(id));
        let Governance { token_budget, estimated_cost_usd, cost_policy, estimate_tokens, .. } =
            &definition.governance;
        let said = token_budget.is_some()
            || estimated_cost_usd.is_some()
            || cost_policy.is_some()
            || estimate_tokens.is_some();
        if !said && executor.is_none() {
            return None;
        }
        let whole = token_budget.filter(|budget| *budget > 0);
        let guess = executor.copied().unwrap_or(self.estimate);
        let tokens = match (estimate_tokens, whole) {
            (Some(said), _) => *said,
            (None, Some(whole)) => whole,
            (None, None) => guess,
        };
        let model = definition.inputs.get("model").and_then(serde_json::Value::as_str);
        Some(Demand {
            tokens: tokens.max(1),
            cost: estimated_cost_usd.and_then(Money::from_usd),
            model: model.map(str::to_owned),
            policy: cost_policy.clone(),
        })
    }

    /// The policy of this name; of none, the default one. A name that nobody configured blocks at the
    /// limit, so that a mistake never opens a budget.
    pub fn policy(&self, name: Option<&str>) -> Policy {
        name.or(self.default_policy.as_deref())
            .and_then(|name| self.policies.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether a policy is named that nobody configured.
    pub fn is_unknown(&self, name: Option<&str>) -> bool {
        name.or(self.default_policy.as_deref())
            .is_some_and(|name| !self.policies.contains_key(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(governance: Governance) -> Definition {
        let mut definition = Definition { governance, ..Definition::default() };
        definition.params.insert("executor_id".to_owned(), json!("llm"));
        definition
    }

    #[test]
    fn a_task_spends_if_its_author_or_its_executor_says_so() {
        let mut rules = Rules::default();
        assert_eq!(rules.demand(&task(Governance::default())), None);
        rules.executors.insert("llm".to_owned(), 700);
        let demand = rules.demand(&task(Governance::default())).expect("its executor spends");
        assert_eq!((demand.tokens, demand.cost), (700, None));
        let governed = Governance { estimated_cost_usd: Some(0.5), ..Governance::default() };
        let demand = Rules::default().demand(&task(governed)).expect("its author says so");
        assert_eq!((demand.tokens, demand.cost), (DEFAULT_ESTIMATE, Some(Money(500_000))));
    }

    #[test]
    fn an_estimate_comes_before_a_budget_and_a_budget_before_a_guess() {
        let budget = Governance { token_budget: Some(900), ..Governance::default() };
        let both = Governance { estimate_tokens: Some(50), ..budget.clone() };
        let tokens = |governance| Rules::default().demand(&task(governance)).map(|it| it.tokens);
        assert_eq!((tokens(budget), tokens(both)), (Some(900), Some(50)));
    }

    #[test]
    fn a_policy_that_nobody_configured_blocks() {
        let mut rules = Rules::default();
        assert_eq!(rules.policy(Some("gone")), Policy::default());
        assert!(rules.is_unknown(Some("gone")) && !rules.is_unknown(None));
        let soft = Policy::read("continue", 1.0, Vec::new()).expect("a policy");
        rules.policies.insert("soft".to_owned(), soft.clone());
        rules.default_policy = Some("soft".to_owned());
        assert_eq!((rules.policy(None), rules.policy(Some("gone"))), (soft, Policy::default()));
    }
}
