//! Listening: to everything, to a tree, to a task, to a run that was just begun.

use crate::{
    api::{
        ApiError, Caller, Feed, Follow, Gateway,
        feed::{Filter, Subscription},
        reply::Executed,
    },
    code::Code,
    id::{TaskId, TreeId},
    task::Outcome,
};

/// What somebody wants to hear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// Only of this tree.
    pub tree: Option<TreeId>,
    /// Only of this task and of its tree as a whole.
    pub task: Option<TaskId>,
    /// From this position on; without one a tree and a task are told from their beginning, and
    /// everything from now on.
    pub after: Option<i64>,
}

impl Gateway {
    /// Listens to what the caller may hear of.
    pub async fn listen(&self, caller: &Caller, wish: Listen) -> Result<Subscription, ApiError> {
        let feed = self.need_feed()?;
        let Listen { mut tree, task, after } = wish;
        if let Some(tree) = &tree {
            let run = self.backend.trees().run_of_tree(tree).await?;
            if !run.is_some_and(|run| caller.sees(run.tree.user_id.as_deref())) {
                return Err(ApiError::new(Code::NotFound, format!("Tree {tree} not found")));
            }
        }
        if let Some(task) = &task {
            let record = self.existing(caller, task).await?;
            if tree.get_or_insert_with(|| record.tree_id.clone()) != &record.tree_id {
                return Err(ApiError::no_such_task(task)
                    .hint("the task belongs to another tree; leave `tree_id` out"));
            }
        }
        let one = tree.is_some();
        let owner = caller.bound_to().map(str::to_owned);
        let filter = Filter { trees: tree.into_iter().collect(), task, owner };
        Ok(match after {
            Some(after) => feed.from(filter, after),
            None if one => feed.from(filter, 0),
            None => feed.from_now(filter).await?,
        })
    }

    /// Follows a run that was just begun to its end.
    pub async fn follow(&self, caller: &Caller, executed: &Executed) -> Result<Follow, ApiError> {
        let feed = self.need_feed()?;
        let root = executed.root.clone();
        if executed.idle {
            let run = self.backend.trees().run(&executed.task).await?;
            let outcome = run.and_then(|run| run.outcome).unwrap_or(Outcome::Completed);
            return Ok(Follow::ended(root, outcome, self.clock.now()));
        }
        let filter = Filter {
            trees: executed.trees.clone(),
            task: None,
            owner: caller.bound_to().map(str::to_owned),
        };
        let subscription = feed.from(filter, executed.after);
        Ok(Follow::new(root, executed.trees.iter().cloned().collect(), subscription))
    }

    fn need_feed(&self) -> Result<&Feed, ApiError> {
        self.feed().ok_or_else(|| {
            ApiError::new(Code::Internal, "this engine has no journal that can be listened to")
        })
    }
}
