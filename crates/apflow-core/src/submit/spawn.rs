//! Tasks that join a submission that exists already, because one of its tasks asks for them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Limits, Order, TaskSpec, compile};
use crate::{
    code::Code,
    effect::Spawn,
    id::Ids,
    problem::{Problem, Problems},
    store::Submission,
    task::{Origin, Schedule},
};

/// Makes of what an executor wrote what a store can add, or says everything that is wrong with it.
///
/// The ids are only names among these tasks; [`Spawn::name`] gives them their own.
pub fn spawned(tasks: Vec<TaskSpec>, owner: Option<&str>, gather: bool) -> Result<Spawn, Problems> {
    let mut problems = Vec::new();
    for (place, task) in tasks.iter().enumerate() {
        for (field, said) in [
            ("tree_id", task.tree_id.is_some()),
            ("schedule", task.schedule != Schedule::default()),
            ("origin", task.origin != Origin::default()),
        ] {
            if said {
                let why = format!("task {place} `{}`: a spawned task has no {field}", task.name);
                problems.push(Problem::new(Code::InvalidTree, why).in_field(field));
            }
        }
    }
    if !problems.is_empty() {
        return Err(Problems::of(problems));
    }
    let keys = tasks.iter().map(|task| task.id.clone().unwrap_or_else(|| task.name.clone()));
    let keys = keys.collect();
    let order = Order { tasks, start: true, user_id: owner.map(str::to_owned), ..Order::default() };
    let Submission { tasks, .. } = compile(order, &Places::default(), &Limits::default())?;
    Ok(Spawn { tasks, keys, gather, members: false, space: None })
}

/// Names for tasks that will get other ones.
#[derive(Default)]
struct Places(AtomicU64);

impl Ids for Places {
    fn next(&self) -> String {
        format!("#{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{submit::Reference, testing::SeededIds};

    fn called(id: &str) -> TaskSpec {
        TaskSpec { id: Some(id.to_owned()), ..TaskSpec::new(id) }
    }

    #[test]
    fn spawned_tasks_depend_on_one_another_by_the_names_they_have_here() {
        let mut second = called("second");
        second.dependencies = vec![Reference::required("first")];
        let mut spawn =
            spawned(vec![called("first"), second], Some("u"), true).expect("it works out");
        spawn.name(&SeededIds::new("s"));
        let [first, second] = &spawn.tasks[..] else { panic!("two tasks") };
        assert_ne!(first.id.as_str(), "first");
        assert_eq!(second.definition.dependencies[0].id, first.id);
        assert_eq!(second.needs[0].on, 0);
        assert_eq!(spawn.keys, ["first", "second"]);
        assert_eq!(first.definition.user_id.as_deref(), Some("u"));
    }

    #[test]
    fn a_spawned_task_has_neither_tree_nor_schedule() {
        let task = TaskSpec { tree_id: Some("t".to_owned()), ..TaskSpec::new("a") };
        let problems = spawned(vec![task], None, false).expect_err("it has a tree already");
        assert_eq!(problems.0[0].field.as_deref(), Some("tree_id"));
        let mut unknown = TaskSpec::new("a");
        unknown.dependencies = vec![Reference::required("elsewhere")];
        assert!(spawned(vec![unknown], None, false).is_err(), "needs stay among these tasks");
    }
}
