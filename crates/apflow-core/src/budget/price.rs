//! What tokens of a model cost.

use std::collections::BTreeMap;

use super::{Money, Usage};

const MILLION: i128 = 1_000_000;

/// What a million tokens cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// A million tokens that go in.
    pub input: Money,
    /// A million tokens that come out.
    pub output: Money,
}

/// What models cost, by the name their provider gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// Says what a model costs.
    pub fn set(&mut self, model: impl Into<String>, price: Price) {
        self.0.insert(model.into(), price);
    }

    /// What a model costs: under its whole name, or under the longest entry it begins with that ends
    /// where a part of the name ends, so that `gpt-x` is also the price of `gpt-x-2026-01-01`.
    pub fn of(&self, model: &str) -> Option<Price> {
        if let Some(price) = self.0.get(model) {
            return Some(*price);
        }
        let begins = |name: &&String| {
            model.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(['-', ':', '@']))
        };
        let longest = self.0.keys().filter(begins).max_by_key(|name| name.len())?;
        self.0.get(longest).copied()
    }

    /// What a call cost: what it said itself, else what the table says; none if nobody knows.
    pub fn cost(&self, usage: &Usage) -> Option<Money> {
        usage.cost.or_else(|| {
            let price = self.of(usage.model.as_deref()?)?;
            let input = i128::from(price.input.0) * i128::from(usage.input_tokens);
            let output = i128::from(price.output.0) * i128::from(usage.output_tokens);
            Some(micros(
                (input.saturating_add(output)).div_euclid(MILLION)
                    + i128::from((input + output) % MILLION != 0),
            ))
        })
    }

    /// The most that so many tokens of a model can cost.
    pub fn at_most(&self, model: &str, tokens: i64) -> Option<Money> {
        let dearest = self.dearest(model)?;
        let whole = i128::from(dearest) * i128::from(tokens.max(0));
        Some(micros((whole + MILLION - 1) / MILLION))
    }

    /// How many tokens of a model an amount is sure to pay; none if they cost nothing or nobody knows.
    pub fn affordable(&self, model: &str, money: Money) -> Option<i64> {
        let dearest = self.dearest(model).filter(|dearest| *dearest > 0)?;
        let tokens = i128::from(money.0.max(0)) * MILLION / i128::from(dearest);
        Some(i64::try_from(tokens).unwrap_or(i64::MAX))
    }

    fn dearest(&self, model: &str) -> Option<i64> {
        self.of(model).map(|price| price.input.0.max(price.output.0))
    }
}

impl FromIterator<(String, Price)> for Prices {
    fn from_iter<T: IntoIterator<Item = (String, Price)>>(prices: T) -> Self {
        Self(prices.into_iter().collect())
    }
}

fn micros(amount: i128) -> Money {
    Money(i64::try_from(amount).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        let price = |input, output| Price { input: Money(input), output: Money(output) };
        [
            ("large".to_owned(), price(3_000_000, 15_000_000)),
            ("large-mini".to_owned(), price(250_000, 1_000_000)),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn a_call_costs_what_it_says_or_what_the_table_says() {
        let usage = Usage::tokens("large", 1_000, 200);
        assert_eq!(prices().cost(&usage), Some(Money(6_000)));
        let said = Usage { cost: Some(Money(1)), ..usage };
        assert_eq!(prices().cost(&said), Some(Money(1)));
        assert_eq!(prices().cost(&Usage::tokens("small", 1_000, 200)), None);
        assert_eq!(prices().cost(&Usage::default()), None);
        assert_eq!(prices().cost(&Usage::tokens("large-mini", 1, 0)), Some(Money(1)), "rounded up");
    }

    #[test]
    fn a_dated_name_has_the_price_of_its_family() {
        assert_eq!(prices().of("large-mini-2026-01-01"), prices().of("large-mini"));
        assert_eq!(prices().of("large-2026"), prices().of("large"));
        assert_eq!((prices().of("largest"), prices().of("larg")), (None, None));
    }

    #[test]
    fn what_an_amount_pays_never_costs_more_than_the_amount() {
        for money in [0, 14, 15, 16, 1_000, 999_999] {
            let tokens = prices().affordable("large", Money(money)).expect("a price");
            assert!(prices().at_most("large", tokens) <= Some(Money(money)), "{money}");
            assert!(prices().at_most("large", tokens + 1) > Some(Money(money)), "{money}");
        }
    }
}
