//! Several tasks in one expression: `a >> (b | c) >> d`.

use std::ops::{BitOr, Shr};

use super::TaskBuilder;
use crate::submit::{Reference, TaskSpec};

/// Tasks with a beginning and an end.
///
/// `>>` makes what begins on the right wait for what ends on the left; `|` puts two side by side. A task
/// that occurs twice, as a clone with the same id or name, is one task with the dependencies of both.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "a flow does nothing until it is submitted"]
pub struct Flow {
    tasks: Vec<TaskSpec>,
    entries: Vec<usize>,
    exits: Vec<usize>,
}

impl Flow {
    /// The tasks, in the order they were written.
    pub fn tasks(self) -> Vec<TaskSpec> {
        self.tasks
    }

    /// One after the other.
    pub fn then(mut self, next: impl Into<Self>) -> Self {
        let next = next.into();
        let before: Vec<String> =
            self.exits.iter().map(|exit| handle(&self.tasks[*exit]).to_owned()).collect();
        let places = self.take_in(next.tasks);
        for entry in &next.entries {
            let task = &mut self.tasks[places[*entry]];
            for to in &before {
                if !task.dependencies.iter().any(|reference| reference.to == *to) {
                    task.dependencies.push(Reference::required(to));
                }
            }
        }
        if self.entries.is_empty() {
            self.entries = placed(&next.entries, &places);
        }
        if !next.exits.is_empty() {
            self.exits = placed(&next.exits, &places);
        }
        self
    }

    /// Side by side.
    pub fn beside(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        let places = self.take_in(other.tasks);
        add(&mut self.entries, placed(&other.entries, &places));
        add(&mut self.exits, placed(&other.exits, &places));
        self
    }

    /// Adds tasks; returns where each of them now is.
    fn take_in(&mut self, tasks: Vec<TaskSpec>) -> Vec<usize> {
        tasks
            .into_iter()
            .map(|task| {
                let same = self.tasks.iter().position(|known| is_same(known, &task));
                if let Some(place) = same {
                    let known = &mut self.tasks[place].dependencies;
                    for reference in task.dependencies {
                        if !known.iter().any(|it| it.to == reference.to) {
                            known.push(reference);
                        }
                    }
                    return place;
                }
                self.tasks.push(task);
                self.tasks.len() - 1
            })
            .collect()
    }
}

/// What others call a task by.
fn handle(task: &TaskSpec) -> &str {
    task.id.as_deref().unwrap_or(&task.name)
}

/// Whether two say the same but for what comes first.
fn is_same(one: &TaskSpec, other: &TaskSpec) -> bool {
    // The cheap question first: a long chain asks it for every pair.
    handle(one) == handle(other)
        && TaskSpec { dependencies: Vec::new(), ..one.clone() }
            == TaskSpec { dependencies: Vec::new(), ..other.clone() }
}

fn placed(places: &[usize], new: &[usize]) -> Vec<usize> {
    places.iter().map(|place| new[*place]).collect()
}

fn add(to: &mut Vec<usize>, more: Vec<usize>) {
    for place in more {
        if !to.contains(&place) {
            to.push(place);
        }
    }
}

impl From<TaskSpec> for Flow {
    fn from(task: TaskSpec) -> Self {
        Self { tasks: vec![task], entries: vec![0], exits: vec![0] }
    }
}

impl From<TaskBuilder> for Flow {
    fn from(task: TaskBuilder) -> Self {
        task.build().into()
    }
}

/// All of them side by side.
impl<T: Into<Self>> FromIterator<T> for Flow {
    fn from_iter<I: IntoIterator<Item = T>>(flows: I) -> Self {
        flows.into_iter().fold(Self::default(), Self::beside)
    }
}

impl<R: Into<Flow>> Shr<R> for TaskBuilder {
    type Output = Flow;

    fn shr(self, next: R) -> Flow {
        Flow::from(self).then(next)
    }
}

impl<R: Into<Flow>> Shr<R> for Flow {
    type Output = Flow;

    fn shr(self, next: R) -> Flow {
        self.then(next)
    }
}

impl<R: Into<Flow>> BitOr<R> for TaskBuilder {
    type Output = Flow;

    fn bitor(self, other: R) -> Flow {
        Flow::from(self).beside(other)
    }
}

impl<R: Into<Flow>> BitOr<R> for Flow {
    type Output = Flow;

    fn bitor(self, other: R) -> Flow {
        self.beside(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::task;

    /// Each task with what it waits for: `d<b,c`.
    fn told(flow: Flow) -> String {
        let tasks: Vec<String> = flow
            .tasks()
            .into_iter()
            .map(|task| {
                let on: Vec<&str> = task.dependencies.iter().map(|it| it.to.as_str()).collect();
                if on.is_empty() { task.name } else { format!("{}<{}", task.name, on.join(",")) }
            })
            .collect();
        tasks.join(" ")
    }

    #[test]
    fn a_diamond_reads_as_it_runs() {
        let flow = task("a") >> (task("b") | task("c")) >> task("d");
        assert_eq!(told(flow), "a b<a c<a d<b,c");
    }

    #[test]
    fn groups_chains_and_groups_of_chains_combine_in_any_place() {
        assert_eq!(told(task("a") | task("b") | task("c")), "a b c");
        assert_eq!(told(task("a") >> task("b") >> task("c")), "a b<a c<b");
        assert_eq!(told((task("a") | task("b")) >> task("c")), "a b c<a,b");
        assert_eq!(told(task("x") | (task("a") | task("b"))), "x a b");
        assert_eq!(told((task("a") | task("b")) >> (task("c") | task("d"))), "a b c<a,b d<a,b");
        assert_eq!(
            told((task("a") >> task("b") | task("c") >> task("d")) >> task("e")),
            "a b<a c d<c e<b,d"
        );
        assert_eq!(told((task("a") >> task("b")) >> (task("c") >> task("d"))), "a b<a c<b d<c");
        assert_eq!(told(task("a") >> (task("b") >> task("c") | task("d"))), "a b<a c<b d<a");
    }

    #[test]
    fn a_task_that_occurs_twice_is_one_task() {
        let a = task("a");
        let flow = (a.clone() >> task("b")) | (a >> task("c"));
        assert_eq!(told(flow), "a b<a c<a");
        let other = task("a").executor("x") | task("a").executor("y");
        assert_eq!(told(other), "a a", "two tasks of one name stay two");
    }

    #[test]
    fn a_list_of_tasks_stands_side_by_side() {
        let many: Flow = (1..=3).map(|n| task(format!("w{n}"))).collect();
        assert_eq!(told(task("a") >> many >> task("z")), "a w1<a w2<a w3<a z<w1,w2,w3");
        assert_eq!(told(Flow::default() >> task("a") >> Flow::default() >> task("b")), "a b<a");
    }

    #[test]
    fn ids_are_what_tasks_are_called_by_where_they_have_one() {
        assert_eq!(told(task("a").id("1") >> task("b").optional("1")), "a b<1");
    }
}
