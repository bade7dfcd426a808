//! What work may spend and has spent: tokens and money, counted in whole numbers.
//!
//! Nothing here touches a database or a clock. A store reads the accounts that concern an attempt,
//! [`ledger::decide`] says whether it may begin and with how much, and the store writes that down
//! before anybody spends: reserve, spend, settle. What is reserved is the sum of the rows of attempts
//! that run, never a counter, so nothing that dies can keep a part of a budget.

mod key;
pub mod ledger;
mod money;
mod policy;
mod price;
mod rules;
mod usage;

pub use key::{Budget, BudgetKey, Period, Scope, Unit};
pub use ledger::{Account, Amount, Decision, Demand, Notice, decide};
pub use money::Money;
pub use policy::{Action, Policy};
pub use price::{Price, Prices};
pub use rules::{DEFAULT_ESTIMATE, Rules};
pub use usage::{Allowance, Spent, Usage, said_in};
