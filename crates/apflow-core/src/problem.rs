//! What is wrong with a submission, one value per fault.

use std::fmt;

use crate::code::Code;

/// One fault, with everything somebody needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of fault.
    pub code: Code,
    /// The task, by the author's own word for it.
    pub task: Option<String>,
    /// The field.
    pub field: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What was found.
    pub actual: Option<String>,
    /// The cycle, or the way to the field.
    pub path: Vec<String>,
    /// The text Python v1 used, where it had one; else the reason.
    pub detail: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Everything that is wrong with a submission; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            write!(f, "{gap}{}", problem.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
