//! Which trees a chaos run has, worked out from one number so that nobody has to store them.

use std::time::Duration;

use apflow::{
    core::{store::Idempotency, submit::Order, task::TreeOptions},
    prelude::*,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// The executor of every task.
pub const EFFECT: &str = "effect";

/// Attempts of a task that may be tried again; more than any run kills in a row.
pub const MANY: u32 = 100;

/// How the trees of a run are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Everything random comes from here.
    pub seed: u64,
    /// Only the four tasks of a diamond, instead of every shape in turn.
    pub diamonds: bool,
    /// The longest a task takes.
    pub longest: Duration,
}

/// One tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTree {
    /// Its id, and the key it is submitted under.
    pub id: String,
    /// Its tasks, the root first.
    pub tasks: Vec<PlannedTask>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// Its id.
    pub id: String,
    /// Tasks that have to complete first, by position.
    pub needs: Vec<usize>,
    /// Tasks that only have to end first, because they hang under this one.
    pub after: Vec<usize>,
    /// How long it takes.
    pub takes: Duration,
    /// Attempts in total.
    pub max_attempts: u32,
}

impl Plan {
    /// The tree with this number.
    pub fn tree(&self, index: u64) -> PlannedTree {
        let mut random =
            StdRng::seed_from_u64(self.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let shape = if self.diamonds { 0 } else { random.random_range(0..5) };
        let needs = match shape {
            0 => vec![vec![], vec![0], vec![0], vec![1, 2]],
            1 => (0..random.random_range(2..7_usize))
                .map(|n| n.checked_sub(1).into_iter().collect())
                .collect(),
            2 => fan(random.random_range(2..8)),
            3 => vec![vec![]; random.random_range(3..7)],
            _ => tangle(random.random_range(4..10), &mut random),
        };
        let id = format!("c{}-{index}", self.seed);
        let longest = u64::try_from(self.longest.as_micros()).unwrap_or(u64::MAX);
        let tasks = needs.iter().enumerate().map(|(at, own)| {
            // Only a task that nothing needs may be lost for good: a failure blocks nobody.
            let last = at > 0 && !needs.iter().any(|others| others.contains(&at));
            let once = last && random.random_bool(0.1);
            PlannedTask {
                id: format!("{id}-{at}"),
                needs: own.clone(),
                after: if shape == 3 && at == 0 { (1..needs.len()).collect() } else { Vec::new() },
                takes: Duration::from_micros(random.random_range(0..=longest)),
                max_attempts: if once { 1 } else { MANY },
            }
        });
        let tasks = tasks.collect();
        PlannedTree { id, tasks }
    }
}

/// One task, several at once, one.
fn fan(width: usize) -> Vec<Vec<usize>> {
    let mut needs = vec![vec![]];
    needs.extend((0..width).map(|_| vec![0]));
    needs.push((1..=width).collect());
    needs
}

/// Each task needs some of those before it.
fn tangle(size: usize, random: &mut StdRng) -> Vec<Vec<usize>> {
    (0..size)
        .map(|at| {
            let mut needs: Vec<usize> = (0..random.random_range(1..=3))
                .filter(|_| at > 0)
                .map(|_| random.random_range(0..at))
                .collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect()
}

impl PlannedTree {
    /// The request that stores and starts it, always the same.
    pub fn order(&self) -> Order {
        let root = &self.tasks[0].id;
        let tasks = self.tasks.iter().enumerate().map(|(at, planned)| {
            let takes = u64::try_from(planned.takes.as_micros()).unwrap_or(u64::MAX);
            let each = task(&planned.id)
                .id(&planned.id)
                .executor(EFFECT)
                .input("takes_us", takes)
                .max_attempts(planned.max_attempts)
                .depends_on(planned.needs.iter().map(|need| &self.tasks[*need].id));
            if at == 0 { each.tree(&self.id).build() } else { each.parent(root).build() }
        });
        Order {
            tasks: tasks.collect(),
            options: TreeOptions::default(),
            start: true,
            idempotency: Some(Idempotency {
                owner: String::new(),
                key: self.id.clone(),
                digest: self.id.clone(),
            }),
            user_id: None,
            callback: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { seed: 7, diamonds: false, longest: Duration::from_millis(20) };

    #[test]
    fn a_number_always_stands_for_the_same_tree() {
        assert_eq!(PLAN.tree(3), PLAN.tree(3));
        assert_ne!(PLAN.tree(3).tasks, PLAN.tree(4).tasks);
        assert_ne!(PLAN.tree(3), Plan { seed: 8, ..PLAN }.tree(3));
    }

    #[test]
    fn needs_point_backwards_and_only_ends_may_be_lost() {
        let mut lossy = 0;
        for index in 0..200 {
            let tree = PLAN.tree(index);
            for (at, task) in tree.tasks.iter().enumerate() {
                assert!(task.needs.iter().all(|need| *need < at), "{}", task.id);
                if task.max_attempts == 1 {
                    lossy += 1;
                    assert!(tree.tasks.iter().all(|other| !other.needs.contains(&at)));
                }
            }
        }
        assert!(lossy > 10, "{lossy} tasks may be tried only once");
    }
}
