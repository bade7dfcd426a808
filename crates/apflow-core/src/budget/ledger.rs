//! Whether an attempt may begin, with how much, and with which model. Pure: accounts in, decision out.

use super::{
    Action, Allowance, BudgetKey, Money, Policy, Prices, Unit,
    policy::{WHOLE, share},
};

/// What an attempt is thought to need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Tokens, input and output together.
    pub tokens: i64,
    /// Money, if the author said; else it follows from the tokens and the price of the model.
    pub cost: Option<Money>,
    /// The model the task begins with, if it says.
    pub model: Option<String>,
    /// The policy the task names.
    pub policy: Option<String>,
}

/// Tokens and money together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Tokens.
    pub tokens: i64,
    /// Money.
    pub money: Money,
}

impl Amount {
    /// The part that a budget of this unit counts.
    pub const fn of(self, unit: Unit) -> i64 {
        match unit {
            Unit::Tokens => self.tokens,
            Unit::Usd => self.money.0,
        }
    }
}

/// A budget that concerns an attempt, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which budget.
    pub key: BudgetKey,
    /// The most that may be spent.
    pub limit: i64,
    /// What was spent.
    pub used: i64,
    /// What other attempts that run have put aside.
    pub reserved: i64,
    /// What happens near the limit.
    pub policy: Policy,
    /// Somebody decided that this attempt may begin all the same.
    pub waived: bool,
}

impl Account {
    fn share(&self) -> u32 {
        share(self.used, self.limit)
    }

    /// Whether the limit bounds this attempt.
    const fn is_hard(&self) -> bool {
        self.policy.action.is_hard() && !self.waived
    }

    fn left(&self) -> i64 {
        self.limit.saturating_sub(self.used).saturating_sub(self.reserved)
    }

    /// How the account stands, for people.
    fn says(&self) -> String {
        let unit = self.key.unit;
        format!("{} of {} are used", unit.say(self.used), unit.say(self.limit))
    }
}

/// Somebody should know that a budget comes to its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which budget.
    pub key: BudgetKey,
    /// What was spent.
    pub used: i64,
    /// The most that was to be spent.
    pub limit: i64,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It begins.
    Go {
        /// What is put aside for it.
        reserve: Amount,
        /// What it may spend.
        allowance: Allowance,
        /// The model it has to use, where it is not the one the task begins with.
        model: Option<String>,
        /// Budgets of which somebody should be told.
        notices: Vec<Notice>,
    },
    /// It waits for what attempts that run have put aside.
    Hold {
        /// The budget it waits for.
        key: BudgetKey,
    },
    /// It does not begin, and the task ends.
    Refuse {
        /// Which budget, and how it stands.
        why: String,
    },
    /// It does not begin before somebody has decided.
    Ask {
        /// Which budget, and how it stands.
        why: String,
        /// The budget.
        key: BudgetKey,
        /// What was spent.
        used: i64,
        /// The most that may be spent.
        limit: i64,
    },
}

/// Decides about one attempt.
///
/// Of several budgets the strictest speaks: refuse, then ask, then wait, then the cheapest model, and
/// the smallest amount that is left. An attempt that cannot have all it needs waits while others have
/// something put aside, for they may not use all of it; when nobody has, it gets what is left.
pub fn decide(accounts: &[Account], demand: &Demand, prices: &Prices) -> Decision {
    let reached = |account: &&Account| account.policy.is_reached(account.share());
    if let Some(account) = accounts.iter().find(|account| is_refused(account)) {
        return Decision::Refuse { why: why(account) };
    }
    let asking = |account: &&Account| account.policy.action == Action::Ask && !account.waived;
    if let Some(account) = accounts.iter().filter(asking).find(reached) {
        let (used, limit) = (account.used, account.limit);
        return Decision::Ask { why: why(account), key: account.key.clone(), used, limit };
    }
    let model = cheaper(accounts);
    match put_aside(accounts, demand, model.as_deref(), prices) {
        Ok((reserve, allowance)) => {
            let notices = accounts
                .iter()
                .filter(|account| account.policy.action == Action::Notify)
                .filter(reached)
                .map(|account| Notice {
                    key: account.key.clone(),
                    used: account.used,
                    limit: account.limit,
                })
                .collect();
            Decision::Go { reserve, allowance, model, notices }
        }
        Err(decision) => decision,
    }
}

fn is_refused(account: &Account) -> bool {
    let share = account.share();
    !account.waived
        && match account.policy.action {
            Action::Block => account.policy.is_reached(share),
            // There is no model that costs nothing.
            Action::Downgrade => share >= WHOLE,
            Action::Notify | Action::Continue | Action::Ask => false,
        }
}

fn why(account: &Account) -> String {
    format!("{}: {}", account.key, account.says())
}

/// The model that the used shares call for, if it is not the one to begin with.
fn cheaper(accounts: &[Account]) -> Option<String> {
    let steps = accounts.iter().map(|account| (account.policy.step(account.share()), account));
    let (step, account) = steps.max_by_key(|(step, _)| *step)?;
    (step > 0).then(|| account.policy.chain.get(step).cloned()).flatten()
}

/// How much may be put aside, or what happens instead.
fn put_aside(
    accounts: &[Account],
    demand: &Demand,
    model: Option<&str>,
    prices: &Prices,
) -> Result<(Amount, Allowance), Decision> {
    let model = model.or(demand.model.as_deref());
    let by_table = model.and_then(|model| prices.at_most(model, demand.tokens));
    // Another model has another price than the one the author thought of.
    let cost = if model == demand.model.as_deref() {
        demand.cost.or(by_table)
    } else {
        by_table.or(demand.cost)
    };
    let mut allowance = Allowance::default();
    for account in accounts.iter().filter(|account| account.is_hard()) {
        let left = account.left();
        let need = match account.key.unit {
            Unit::Tokens => Some(demand.tokens),
            Unit::Usd => cost.map(|cost| cost.0),
        };
        // Nobody knows what it costs: it may cost all there is, so nobody else spends meanwhile.
        let enough = need.is_some_and(|need| left >= need);
        if !enough && account.reserved > 0 {
            return Err(Decision::Hold { key: account.key.clone() });
        }
        if left <= 0 {
            return Err(Decision::Refuse { why: why(account) });
        }
        let granted = need.map_or(left, |need| need.min(left));
        match account.key.unit {
            Unit::Tokens => {
                allowance.tokens = Some(allowance.tokens.map_or(granted, |had| had.min(granted)));
            }
            Unit::Usd => {
                let granted = Money(granted);
                allowance.money = Some(allowance.money.map_or(granted, |had| had.min(granted)));
            }
        }
    }
    if let (Some(money), Some(model)) = (allowance.money, model)
        && let Some(affordable) = prices.affordable(model, money)
    {
        if affordable == 0 {
            return Err(cannot_pay(accounts, model));
        }
        let bound = allowance.tokens.unwrap_or(demand.tokens);
        allowance.tokens = Some(bound.min(affordable));
    }
    let tokens = allowance.tokens.unwrap_or(demand.tokens);
    let money = allowance.money.or(cost).unwrap_or_default();
    Ok((Amount { tokens, money }, allowance))
}

/// What is left of a budget of money does not pay a single token.
fn cannot_pay(accounts: &[Account], model: &str) -> Decision {
    let of_money = accounts
        .iter()
        .filter(|account| account.is_hard() && account.key.unit == Unit::Usd)
        .min_by_key(|account| account.left());
    match of_money {
        Some(account) if account.reserved > 0 => Decision::Hold { key: account.key.clone() },
        Some(account) => {
            let why = format!("{}, and what is left pays no token of {model}", why(account));
            Decision::Refuse { why }
        }
        None => Decision::Refuse { why: format!("nothing is left that pays a token of {model}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Period, Price, Scope};

    fn key(unit: Unit) -> BudgetKey {
        BudgetKey { scope: Scope::User, scope_id: "u".into(), unit, period: Period::Total }
    }

    fn account(limit: i64, used: i64, reserved: i64) -> Account {
        let key = key(Unit::Tokens);
        Account { key, limit, used, reserved, policy: Policy::default(), waived: false }
    }

    fn with(account: Account, action: &str, threshold: f64) -> Account {
        let chain = ["a", "b", "c"].map(str::to_owned).to_vec();
        Account { policy: Policy::read(action, threshold, chain).expect("a policy"), ..account }
    }

    fn demand(tokens: i64) -> Demand {
        Demand { tokens, cost: None, model: None, policy: None }
    }

    fn prices() -> Prices {
        let price = |each| Price { input: Money(each), output: Money(each) };
        [("a".to_owned(), price(10_000_000)), ("b".to_owned(), price(1_000_000))]
            .into_iter()
            .collect()
    }

    fn granted(accounts: &[Account], tokens: i64) -> Option<i64> {
        match decide(accounts, &demand(tokens), &prices()) {
            Decision::Go { reserve, .. } => Some(reserve.tokens),
            _ => None,
        }
    }

    #[test]
    fn p8_of_two_spenders_of_80_in_a_budget_of_100_the_second_waits() {
        assert_eq!(granted(&[account(100, 0, 0)], 80), Some(80));
        let second = decide(&[account(100, 0, 80)], &demand(80), &prices());
        assert_eq!(second, Decision::Hold { key: key(Unit::Tokens) });
        assert_eq!(granted(&[account(100, 80, 0)], 80), Some(20), "then it gets what is left");
    }

    #[test]
    fn what_is_put_aside_never_exceeds_what_is_left_of_any_budget() {
        for used in [0, 1, 50, 99] {
            for reserved in [0, 1, 40, 100] {
                for need in [1, 10, 60, 1_000] {
                    let tight = account(100, used, reserved);
                    let wide = account(10_000, used, reserved);
                    if let Some(tokens) = granted(&[wide, tight], need) {
                        assert!(tokens > 0 && used + reserved + tokens <= 100, "{used} {reserved}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_budget_that_is_used_up_refuses_and_says_how_it_stands() {
        let Decision::Refuse { why } = decide(&[account(100, 130, 0)], &demand(1), &prices())
        else {
            panic!("it is used up")
        };
        assert_eq!(why, "the tokens budget of user u: 130 tokens of 100 tokens are used");
        assert_eq!(granted(&[with(account(100, 80, 0), "block", 0.8)], 5), None);
        assert_eq!(granted(&[with(account(100, 79, 0), "block", 0.8)], 5), Some(5));
        assert_eq!(granted(&[account(0, 0, 0)], 1), None, "a budget of nothing");
    }

    #[test]
    fn a_threshold_has_its_effect_before_the_limit() {
        let model = |used| match decide(
            &[with(account(100, used, 0), "downgrade", 0.5)],
            &demand(1),
            &prices(),
        ) {
            Decision::Go { model, .. } => model,
            other => Some(format!("{other:?}")),
        };
        assert_eq!(model(49), None);
        assert_eq!((model(50).as_deref(), model(75).as_deref()), (Some("b"), Some("c")));
        assert!(model(100).is_some_and(|said| said.starts_with("Refuse")));
    }

    #[test]
    fn notify_and_continue_let_everything_begin_and_only_one_tells() {
        for (action, told) in [("notify", 1), ("continue", 0)] {
            let accounts = [with(account(100, 400, 100), action, 0.8)];
            let Decision::Go { reserve, allowance, notices, .. } =
                decide(&accounts, &demand(50), &prices())
            else {
                panic!("{action} lets it begin")
            };
            assert_eq!(
                (reserve.tokens, allowance, notices.len()),
                (50, Allowance::default(), told)
            );
        }
    }

    #[test]
    fn a_question_is_asked_once_and_a_yes_opens_the_budget() {
        let asking = with(account(100, 90, 0), "ask", 0.9);
        let decision = decide(std::slice::from_ref(&asking), &demand(50), &prices());
        assert!(matches!(decision, Decision::Ask { used: 90, limit: 100, .. }), "{decision:?}");
        assert_eq!(granted(&[Account { waived: true, ..asking }], 50), Some(50));
    }

    #[test]
    fn the_strictest_budget_speaks() {
        let soft = with(account(100, 100, 0), "notify", 0.5);
        let asking = with(account(100, 100, 0), "ask", 0.5);
        let refusing = account(100, 100, 0);
        let holding = account(100, 10, 90);
        let says = |accounts: &[Account]| decide(accounts, &demand(20), &prices());
        let all = [soft.clone(), holding.clone(), asking.clone(), refusing];
        assert!(matches!(says(&all), Decision::Refuse { .. }));
        assert!(matches!(says(&all[..3]), Decision::Ask { .. }));
        assert!(matches!(says(&all[..2]), Decision::Hold { .. }));
        assert!(matches!(says(&all[..1]), Decision::Go { .. }));
    }

    #[test]
    fn money_bounds_tokens_by_the_price_of_the_model() {
        let money = Account { key: key(Unit::Usd), ..account(1_000, 0, 0) };
        let wish = Demand { model: Some("a".into()), ..demand(500) };
        let Decision::Go { reserve, allowance, .. } =
            decide(std::slice::from_ref(&money), &wish, &prices())
        else {
            panic!("there is money")
        };
        // A thousand millionths pay a hundred tokens of ten millionths.
        assert_eq!((reserve.money, reserve.tokens), (Money(1_000), 100));
        assert_eq!(allowance, Allowance { tokens: Some(100), money: Some(Money(1_000)) });
        let poor = Account { used: 995, ..money };
        let refused = decide(&[poor], &wish, &prices());
        assert!(matches!(&refused, Decision::Refuse { why } if why.contains("no token of a")));
    }

    #[test]
    fn what_nobody_can_price_spends_alone() {
        let money = Account { key: key(Unit::Usd), ..account(1_000, 0, 0) };
        let Decision::Go { reserve, .. } =
            decide(std::slice::from_ref(&money), &demand(10), &prices())
        else {
            panic!("there is money")
        };
        assert_eq!(reserve.money, Money(1_000), "it may cost all there is");
        let beside = Account { reserved: 1, ..money };
        assert!(matches!(decide(&[beside], &demand(10), &prices()), Decision::Hold { .. }));
    }

    #[test]
    fn a_cheaper_model_is_reckoned_at_its_own_price() {
        let budget = Account { key: key(Unit::Usd), ..account(100_000, 60_000, 0) };
        let account = with(budget, "downgrade", 0.5);
        let wish = Demand { cost: Some(Money(30_000)), model: Some("a".into()), ..demand(3_000) };
        let Decision::Go { reserve, model, .. } = decide(&[account], &wish, &prices()) else {
            panic!("there is money")
        };
        assert_eq!((model.as_deref(), reserve.money), (Some("b"), Money(3_000)));
    }

    #[test]
    fn without_budgets_an_attempt_has_no_bound_and_is_counted_all_the_same() {
        let Decision::Go { reserve, allowance, .. } = decide(&[], &demand(77), &prices()) else {
            panic!("nothing is in the way")
        };
        assert_eq!((reserve.tokens, allowance), (77, Allowance::default()));
    }
}
