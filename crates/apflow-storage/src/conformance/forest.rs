//! Submissions in one line: `"root; a ^root; b ^root <a"`.

use std::collections::HashMap;

use apflow_core::{
    id::{TaskId, TreeId},
    store::{NeedKind, NewNeed, NewTask, NewTree, Submission},
    task::{Definition, Dependency, Join, Priority, TreeOptions},
};

/// A definition that says nothing but its name.
pub fn definition(name: &str) -> Definition {
    Definition { name: name.to_owned(), ..Definition::default() }
}

/// A submission from its description: tasks apart by `;`, the id first and then its words.
///
/// `^p` hangs under `p`; `<a` needs `a` completed, `?a` ended; `any` needs one of them; `!0` is its
/// priority; `x3` its attempts. A task that hangs under nothing begins a tree, which is called
/// `tree-` and its id. Parents wait for their children unless one of those depends on them.
pub fn forest(text: &str) -> Submission {
    let lines: Vec<Vec<&str>> =
        text.split(';').map(|line| line.split_whitespace().collect()).collect();
    let at: HashMap<&str, usize> =
        lines.iter().enumerate().map(|(index, words)| (words[0], index)).collect();
    let mut trees: Vec<NewTree> = Vec::new();
    let mut tasks: Vec<NewTask> = Vec::new();
    for (index, words) in lines.iter().enumerate() {
        let mut task = NewTask {
            id: TaskId::new(words[0]),
            tree: 0,
            parent: None,
            has_children: false,
            definition: definition(words[0]),
            needs: Vec::new(),
        };
        for word in &words[1..] {
            let (sign, rest) = word.split_at(1);
            match (sign, *word) {
                (_, "any") => task.definition.join = Join::Any,
                ("^", _) => task.parent = Some(at[rest]),
                ("<" | "?", _) => {
                    let required = sign == "<";
                    let kind = if required { NeedKind::Required } else { NeedKind::Optional };
                    task.needs.push(NewNeed { on: at[rest], kind });
                    task.definition.dependencies.push(Dependency {
                        id: TaskId::new(rest),
                        required,
                        plain: false,
                        extra: serde_json::Map::new(),
                    });
                }
                ("!", _) => {
                    task.definition.priority =
                        Priority::try_from(rest.parse::<i64>().expect("a number")).expect("0 to 3");
                }
                ("x", _) => {
                    task.definition.durability.max_attempts = Some(rest.parse().expect("a number"));
                }
                _ => panic!("`{word}` is no word of the description of a forest"),
            }
        }
        if task.parent.is_none() {
            trees.push(NewTree {
                id: TreeId::new(format!("tree-{}", words[0])),
                root: index,
                user_id: None,
                options: TreeOptions::default(),
            });
        }
        tasks.push(task);
    }
    for index in 0..tasks.len() {
        let mut root = index;
        while let Some(parent) = tasks[root].parent {
            root = parent;
        }
        tasks[index].tree =
            trees.iter().position(|tree| tree.root == root).expect("each root has a tree");
        if let Some(parent) = tasks[index].parent {
            tasks[parent].has_children = true;
        }
    }
    order_by_structure(&mut tasks);
    Submission { trees, tasks, start: true, idempotency: None, callback: None }
}

/// Adds the need of each parent for its children where that closes no loop.
fn order_by_structure(tasks: &mut [NewTask]) {
    for child in 0..tasks.len() {
        let Some(parent) = tasks[child].parent else { continue };
        if !leads_to(tasks, child, parent) {
            tasks[parent].needs.push(NewNeed { on: child, kind: NeedKind::Structure });
        }
    }
}

/// Whether `from` waits for `to`, directly or not.
fn leads_to(tasks: &[NewTask], from: usize, to: usize) -> bool {
    let mut seen = vec![false; tasks.len()];
    let mut open = vec![from];
    while let Some(task) = open.pop() {
        if task == to {
            return true;
        }
        if !std::mem::replace(&mut seen[task], true) {
            open.extend(tasks[task].needs.iter().map(|need| need.on));
        }
    }
    false
}
