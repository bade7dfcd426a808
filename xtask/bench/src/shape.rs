//! Workflows of a known shape, whose tasks do nothing.

use apflow::{core::submit::TaskSpec, prelude::*};

/// The executor of tasks that do nothing.
pub const NOOP: &str = "noop";

fn noop(name: &str) -> TaskBuilder {
    task(name).executor(NOOP)
}

/// One task after another.
pub fn chain(length: usize) -> Vec<TaskSpec> {
    let mut tasks = Vec::with_capacity(length);
    for index in 0..length {
        let each = noop(&format!("t{index}"));
        let each = if index == 0 { each } else { each.depends_on([format!("t{}", index - 1)]) };
        let each = if index == 0 { each } else { each.parent("t0") };
        tasks.push(each.build());
    }
    tasks
}

/// One task, then `width` at once, then one.
pub fn fan(width: usize) -> Vec<TaskSpec> {
    let mut tasks = Vec::with_capacity(width + 2);
    tasks.push(noop("first").build());
    let middle: Vec<String> = (0..width).map(|index| format!("m{index}")).collect();
    tasks
        .extend(middle.iter().map(|name| noop(name).parent("first").depends_on(["first"]).build()));
    tasks.push(noop("last").parent("first").depends_on(middle).build());
    tasks
}

/// A small tree: one task, eight at once, one.
pub fn tree_of_ten() -> Vec<TaskSpec> {
    fan(8)
}
