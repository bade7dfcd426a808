//! The one thing that can be wrong with a graph of tasks: a loop.

use std::fmt;

/// Tasks that wait for one another, each for the next; the first one comes again at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The tasks, as indexes into the submission.
    pub tasks: Vec<usize>,
}

impl Cycle {
    /// The same loop in the author's words.
    pub fn named<'a>(&self, name: impl Fn(usize) -> &'a str) -> Vec<String> {
        self.tasks.iter().map(|task| name(*task).to_owned()).collect()
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks: Vec<String> = self.tasks.iter().map(|task| format!("#{task}")).collect();
        write!(f, "tasks wait for one another: {}", tasks.join(" -> "))
    }
}

impl std::error::Error for Cycle {}
