//! What an attempt spent, in full: read from its result if it reported nothing, named and priced.

use crate::{
    budget::{Rules, Usage, said_in},
    store::{Claimed, Ended},
};

/// Completes what an attempt reported on its way.
///
/// A demonstration spends nothing, whatever its result says.
pub(super) fn complete(usage: &mut Vec<Usage>, outcome: &Ended, claimed: &Claimed, rules: &Rules) {
    if claimed.demo {
        usage.clear();
        return;
    }
    if usage.is_empty()
        && let Ended::Completed { result } | Ended::Failed { result, .. } = outcome
    {
        usage.extend(said_in(result));
    }
    usage.retain(|each| !each.is_nothing());
    let used = || {
        let named = claimed.definition.inputs.get("model").and_then(serde_json::Value::as_str);
        claimed.given.model.as_deref().or(named).map(str::to_owned)
    };
    for each in usage {
        each.model = each.model.take().or_else(used);
        each.cost = rules.prices.cost(each);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        budget::{Money, Price},
        executor::Given,
        id::{LeaseToken, Seq},
        task::Definition,
        time::Timestamp,
    };

    fn claimed(demo: bool) -> Claimed {
        let mut definition = Definition::default();
        definition.inputs.insert("model".to_owned(), json!("large"));
        Claimed {
            seq: Seq(1),
            id: "t".into(),
            tree_id: "t".into(),
            tree: Seq(1),
            lease: LeaseToken(1),
            run: 1,
            attempt: 1,
            demo,
            definition: Arc::new(definition),
            needs: Vec::new(),
            given: Given::default(),
            tree_deadline: None,
            now: Timestamp(0),
        }
    }

    fn spent(usage: &[Usage], result: serde_json::Value, demo: bool) -> Vec<Usage> {
        let mut rules = Rules::default();
        rules.prices.set("large", Price { input: Money(1_000_000), output: Money(2_000_000) });
        let mut usage = usage.to_vec();
        complete(&mut usage, &Ended::Completed { result }, &claimed(demo), &rules);
        usage
    }

    #[test]
    fn what_was_reported_counts_and_the_result_only_if_nothing_was() {
        let result = json!({"token_usage": {"input": 5, "output": 5}});
        let [from_result] = spent(&[], result.clone(), false).try_into().expect("one");
        assert_eq!(from_result, Usage { cost: Some(Money(15)), ..Usage::tokens("large", 5, 5) });
        let [reported] = spent(&[Usage::tokens("other", 1, 1)], result, false)
            .try_into()
            .expect("one, and not two");
        assert_eq!((reported.total(), reported.cost), (2, None));
    }

    #[test]
    fn a_demonstration_spends_nothing() {
        let result = json!({"token_usage": {"total": 10}});
        assert_eq!(spent(&[Usage::tokens("large", 1, 1)], result, true), []);
    }
}
