//! From what authors wrote to what storage takes.

use crate::{
    code::Code,
    id::{Ids, TaskId, TreeId},
    problem::{Problem, Problems},
    store::{Idempotency, NewTask, NewTree, Submission},
    task::{Definition, TreeOptions},
};

/// What an author wrote.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskSpec {
    /// What it is.
    pub definition: Definition,
}

/// Tasks to store, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The tasks.
    pub tasks: Vec<TaskSpec>,
    /// What holds for each tree.
    pub options: TreeOptions,
    /// Begin a run at once.
    pub start: bool,
    /// The caller's key.
    pub idempotency: Option<Idempotency>,
    /// The caller.
    pub user_id: Option<String>,
}

/// The most a submission may hold.
#[derive(Debug, Clone, Default)]
pub struct Limits {}

/// Turns an order into a submission: each task becomes a tree of its own.
pub fn compile(order: Order, ids: &dyn Ids, _limits: &Limits) -> Result<Submission, Problems> {
    if order.tasks.is_empty() {
        let detail = "there are no tasks".to_owned();
        return Err(Problems(vec![Problem { code: Code::InvalidTree, detail }]));
    }
    let mut trees = Vec::with_capacity(order.tasks.len());
    let mut tasks = Vec::with_capacity(order.tasks.len());
    for (tree, spec) in order.tasks.into_iter().enumerate() {
        let id = ids.next();
        trees.push(NewTree {
            id: TreeId::new(id.as_str()),
            root: tree,
            user_id: order.user_id.clone(),
            options: order.options,
        });
        tasks.push(NewTask {
            id: TaskId::new(id),
            tree,
            parent: None,
            has_children: false,
            definition: spec.definition,
            needs: Vec::new(),
        });
    }
    Ok(Submission { trees, tasks, start: order.start, idempotency: order.idempotency })
}
