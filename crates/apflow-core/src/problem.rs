//! What is wrong with what an author wrote: every problem at once, each with its task and field.

use std::fmt;

use crate::code::Code;

/// The most problems that are listed one by one.
const MAX_LISTED: usize = 1000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of error it is.
    pub code: Code,
    /// The task, by its id, its name or `task at index 3`.
    pub task: Option<String>,
    /// The field, with the way into it: `inputs.headers.x`.
    pub field: Option<String>,
    /// Why it cannot be accepted.
    pub reason: String,
    /// What would have been accepted.
    pub expected: Option<String>,
    /// What was found.
    pub actual: Option<String>,
    /// The tasks of a loop, the first one again at the end.
    pub path: Vec<String>,
    /// The text of the Python API where it has one, else the reason.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of which only the sort and the reason are known.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            code,
            task: None,
            field: None,
            detail: reason.clone(),
            reason,
            expected: None,
            actual: None,
            path: Vec::new(),
            hint: None,
        }
    }

    /// Names the task.
    pub fn of_task(mut self, task: impl Into<String>) -> Self {
        self.task = Some(task.into());
        self
    }

    /// Names the field.
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what would have been accepted.
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what was found; long texts are cut.
    pub fn found(mut self, actual: impl Into<String>) -> Self {
        self.actual = Some(shortened(&actual.into()));
        self
    }

    /// Gives the tasks of a loop.
    pub fn along(mut self, path: Vec<String>) -> Self {
        self.path = path;
        self
    }

    /// Gives the text the Python API has for it.
    pub fn known_as(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Says what to do about it.
    pub fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.code.title();
        write!(f, "{}", if title == self.reason { "refused" } else { title })?;
        if let Some(task) = &self.task {
            write!(f, "\n  task: {task}")?;
        }
        if let Some(field) = &self.field {
            write!(f, "\n  field: {field}")?;
        }
        write!(f, "\n  why: {}", self.reason)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected: {expected}")?;
        }
        if let Some(actual) = &self.actual {
            write!(f, "\n  actual: {actual}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        write!(f, "\n  code: {}", self.code)
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// The problems as an error, or nothing if there are none.
    pub fn refuse(all: Vec<Problem>) -> Result<(), Self> {
        if all.is_empty() { Ok(()) } else { Err(Self::of(all)) }
    }

    /// The problems as an error.
    ///
    /// Beyond a thousand only their number is told, so that a large broken request gets a bounded
    /// answer.
    pub fn of(mut all: Vec<Problem>) -> Self {
        let more = all.len().saturating_sub(MAX_LISTED);
        if more > 0 {
            all.truncate(MAX_LISTED);
            all.push(
                Problem::new(Code::InvalidTree, format!("there are {more} more problems"))
                    .hinting("mend these first"),
            );
        }
        Self(all)
    }

    /// One problem as an error.
    pub fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The first 120 characters of a text, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 120;
    let mut short: String = text
        .chars()
        .take(MOST)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// The known word that `word` was most likely meant to be, if one is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word is no slip of the finger, and the table below grows with its square.
    if word.len() > 64 {
        return None;
    }
    let written: Vec<char> = word.to_lowercase().chars().collect();
    let most = written.len() / 3 + 1;
    known
        .into_iter()
        .filter(|each| each.len() <= 64)
        .map(|each| {
            let meant: Vec<char> = each.to_lowercase().chars().collect();
            (distance(&written, &meant), each)
        })
        .filter(|(far, each)| *far <= most && *far < each.chars().count())
        .min_by_key(|(far, _)| *far)
        .map(|(_, each)| each)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let mut cheapest = (line[column] + 1)
                .min(last[column + 1] + 1)
                .min(last[column] + usize::from(a != b));
            let swapped =
                row > 0 && column > 0 && from[row - 1] == *b && *a == to[column - 1] && a != b;
            if swapped {
                cheapest = cheapest.min(before[column - 1] + 1);
            }
            line.push(cheapest);
        }
        before = last;
        last = line;
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_one_paragraph_that_says_what_where_why_and_what_next() {
        let one = Problem::new(Code::InvalidTask, "9 is outside 0 to 3")
            .of_task("`build`")
            .in_field("priority")
            .expecting("a whole number from 0 to 3")
            .found("9")
            .hinting("leave it out for normal");
        let two = Problem::new(Code::Cycle, "a -> b -> a");
        let text = Problems(vec![one, two]).to_string();
        let paragraphs: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(paragraphs.len(), 2, "{text}");
        for part in ["`build`", "priority", "outside 0", "a whole", "actual: 9", "hint:", "AF0001"]
        {
            assert!(paragraphs[0].contains(part), "{part} is missing in {text}");
        }
        assert!(paragraphs[1].contains("a -> b -> a") && paragraphs[1].ends_with("AF0002"));
    }

    #[test]
    fn a_typo_finds_the_word_that_was_meant() {
        let known = ["priority", "inputs", "needs", "name"];
        assert_eq!(nearest("prioritty", known), Some("priority"));
        assert_eq!(nearest("inptus", known), Some("inputs"));
        assert_eq!(nearest("Name", known), Some("name"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn a_flood_of_problems_has_a_bounded_answer() {
        let flood = vec![Problem::new(Code::InvalidTask, "no"); 5000];
        let Err(Problems(told)) = Problems::refuse(flood) else { panic!("they were accepted") };
        assert_eq!(told.len(), MAX_LISTED + 1);
        assert!(told[MAX_LISTED].reason.contains("4000"));
        assert_eq!(Problems::refuse(Vec::new()), Ok(()));
    }

    #[test]
    fn a_found_text_is_cut_and_cannot_break_the_line() {
        let problem = Problem::new(Code::InvalidTask, "no").found("a\nb".repeat(100));
        let actual = problem.actual.unwrap_or_default();
        assert!(actual.chars().count() <= 121 && !actual.contains('\n'), "{actual}");
    }
}
