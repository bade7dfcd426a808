//! What is wrong with a submission: every reason at once, each with its place.

use std::fmt;

use crate::code::Code;

/// One reason why a submission cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of problem it is.
    pub code: Code,
    /// The text for people.
    pub detail: String,
}

/// Every reason there is; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details: Vec<&str> = self.0.iter().map(|problem| problem.detail.as_str()).collect();
        f.write_str(&details.join("; "))
    }
}

impl std::error::Error for Problems {}
