//! Makes references into indexes: who hangs under whom, who waits for whom, and whether that works out.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    Limits, TaskSpec,
    read::{called, no_tasks, too_many},
    structure::{Entangled, structure_needs},
};
use crate::{
    code::Code,
    graph::TaskGraph,
    problem::{Problem, nearest, shortened},
    store::NeedKind,
    task::{Join, OriginType, StructureOrder, TreeOptions},
};

/// The longest path of a loop that is told task by task.
const MAX_PATH: usize = 30;

/// A submission in which every reference is an index.
pub(super) struct Linked {
    /// The task each one hangs under.
    pub(super) parents: Vec<Option<usize>>,
    /// What hangs under each.
    pub(super) children: Vec<Vec<usize>>,
    /// Tasks without parent.
    pub(super) roots: Vec<usize>,
    /// The place in `roots` of each task's root.
    pub(super) tree: Vec<usize>,
    /// For each task, what it depends on: the task and the place of the reference.
    pub(super) hard: Vec<Vec<(usize, usize)>>,
    /// For each task, where its loop leads, if it says so.
    pub(super) back: Vec<Option<usize>>,
    /// For each task, the descendants it waits for.
    pub(super) soft: Vec<Vec<usize>>,
    /// Who owns all of it.
    pub(super) owner: Option<String>,
}

/// Links the tasks, or says everything that keeps them from being linked.
pub(super) fn link(
    specs: &[TaskSpec],
    options: &TreeOptions,
    caller: Option<&str>,
    limits: &Limits,
) -> Result<Linked, Vec<Problem>> {
    if specs.is_empty() {
        return Err(vec![no_tasks()]);
    }
    if specs.len() > limits.tasks {
        return Err(vec![too_many(specs.len(), limits.tasks)]);
    }
    let mut linker = Linker::new(specs);
    let parents = linker.parents();
    let (children, order) = linker.tree(&parents, limits);
    let roots: Vec<usize> = (0..specs.len()).filter(|task| parents[*task].is_none()).collect();
    let tree = linker.trees(&parents, &roots, &order);
    let owner = linker.owner(caller);
    let hard = linker.dependencies(limits);
    linker.loops(&hard);
    let back = linker.back();
    if !linker.problems.is_empty() {
        return Err(linker.problems);
    }
    let mut soft = vec![Vec::new(); specs.len()];
    if options.structure_order == StructureOrder::Soft {
        let on: Vec<Vec<usize>> =
            hard.iter().map(|needs| needs.iter().map(|(on, _)| *on).collect()).collect();
        // A task that asked for any one of its dependencies asked not to wait for more, and a link
        // waits for nothing.
        let waits: Vec<bool> = specs
            .iter()
            .map(|spec| {
                (spec.join == Join::All || spec.dependencies.is_empty())
                    && spec.origin.kind != OriginType::Link
            })
            .collect();
        soft = structure_needs(&parents, &children, &order, &on, &waits).map_err(|Entangled| {
            vec![
                Problem::new(
                    Code::InvalidTree,
                    "too many tasks depend on the tasks they hang under, in too many ways",
                )
                .in_field("structure_order")
                .hinting("set `structure_order: none`, and say by dependencies what comes first"),
            ]
        })?;
    }
    Ok(Linked { parents, children, roots, tree, hard, back, soft, owner })
}

struct Named {
    first: usize,
    again: Option<usize>,
}

struct Linker<'a> {
    specs: &'a [TaskSpec],
    ids: HashMap<&'a str, usize>,
    names: HashMap<&'a str, Named>,
    problems: Vec<Problem>,
}

impl<'a> Linker<'a> {
    fn new(specs: &'a [TaskSpec]) -> Self {
        let mut linker = Self {
            specs,
            ids: HashMap::with_capacity(specs.len()),
            names: HashMap::with_capacity(specs.len()),
            problems: Vec::new(),
        };
        for (index, spec) in specs.iter().enumerate() {
            linker
                .names
                .entry(&spec.name)
                .and_modify(|named| {
                    named.again.get_or_insert(index);
                })
                .or_insert(Named { first: index, again: None });
            let Some(id) = &spec.id else { continue };
            if let Some(first) = linker.ids.insert(id, index) {
                linker.ids.insert(id, first);
                let problem = Problem::new(
                    Code::InvalidTask,
                    format!("the id `{}` is taken by the task at index {first}", shortened(id)),
                )
                .of_task(format!("{} (index {index})", shortened(&spec.name)))
                .in_field("id")
                .expecting("an id that no other task has")
                .found(id.clone())
                .known_as(format!("Duplicate task id '{id}' at index {index}"));
                linker.problems.push(problem);
            }
        }
        linker
    }

    /// What a task is called in a message: its name unless another one has it too.
    fn label(&self, task: usize) -> String {
        let spec = &self.specs[task];
        let alone = self.names.get(spec.name.as_str()).is_some_and(|named| named.again.is_none());
        let name = Some(spec.name.as_str()).filter(|name| !name.is_empty());
        match (alone, &spec.id, name) {
            (false, None, Some(name)) => format!("{} (index {task})", shortened(name)),
            (false, Some(id), _) => shortened(id),
            _ => called(name, spec.id.as_deref(), task),
        }
    }

    /// The task a text refers to: an id first, then a name.
    fn find(&self, to: &str) -> Result<usize, Missing> {
        if let Some(task) = self.ids.get(to) {
            return Ok(*task);
        }
        match self.names.get(to) {
            Some(Named { first, again: None }) => Ok(*first),
            Some(Named { first, again: Some(second) }) => {
                Err(Missing::Ambiguous { first: *first, second: *second })
            }
            None => Err(Missing::Unknown),
        }
    }

    /// Where the loop of each task leads.
    fn back(&mut self) -> Vec<Option<usize>> {
        let mut back = vec![None; self.specs.len()];
        for (task, spec) in self.specs.iter().enumerate() {
            let Some(to) = spec.loop_edge.as_ref().and_then(|edge| edge.to.as_deref()) else {
                continue;
            };
            match self.find(to) {
                Ok(target) => back[task] = Some(target),
                Err(missing) => {
                    let why = match missing {
                        Missing::Ambiguous { .. } => "is the name of several tasks",
                        Missing::Unknown => "is no task of this submission",
                    };
                    let mut problem = Problem::new(
                        Code::UnknownReference,
                        format!("the loop leads to `{}`, which {why}", shortened(to)),
                    )
                    .of_task(self.label(task))
                    .in_field("loop.to")
                    .expecting("the id of a task, or a name that only one task has")
                    .found(to.to_owned());
                    if let Some(near) = self.near(to).filter(|near| *near != to) {
                        problem = problem.hinting(format!("did you mean `{}`?", shortened(near)));
                    }
                    self.problems.push(problem);
                }
            }
        }
        back
    }

    fn near(&self, to: &str) -> Option<&'a str> {
        // The nearest of a great many names is more likely chance than help.
        if self.specs.len() > 1000 {
            return None;
        }
        let known = self
            .specs
            .iter()
            .flat_map(|spec| [spec.id.as_deref(), Some(spec.name.as_str())].into_iter().flatten());
        nearest(to, known)
    }

    fn missing(&mut self, task: usize, field: String, to: &str, missing: &Missing, parent: bool) {
        let code = if parent { Code::InvalidParent } else { Code::UnknownReference };
        let problem = match missing {
            Missing::Ambiguous { first, second } => Problem::new(
                code,
                format!(
                    "`{}` is the name of several tasks, at index {first} and {second} among others",
                    shortened(to)
                ),
            )
            .expecting("an id, or a name that only one task has")
            .known_as(format!("Duplicate task name '{to}' at index {second}"))
            .hinting("give these tasks an `id` each, and refer to that"),
            Missing::Unknown => {
                let detail = if parent {
                    format!(
                        "Task at index {task} has parent_id '{to}' which is not in the task array."
                    )
                } else {
                    format!(
                        "Task at index {task} has dependency reference '{to}' which is not a valid \
                         id or name in the task array."
                    )
                };
                let problem = Problem::new(
                    code,
                    format!("no task here has the id or name `{}`", shortened(to)),
                )
                .expecting("the id or the name of a task of the same submission")
                .known_as(detail);
                match self.near(to) {
                    Some(near) => problem.hinting(format!("did you mean `{}`?", shortened(near))),
                    None => problem,
                }
            }
        };
        let problem = problem.of_task(self.label(task)).in_field(field).found(to);
        self.problems.push(problem);
    }

    fn parents(&mut self) -> Vec<Option<usize>> {
        let specs = self.specs;
        if specs.iter().all(|spec| spec.parent.is_some()) {
            let detail = "No root task found (task with no parent_id). At least one task in the \
                          array must have parent_id=None or no parent_id field.";
            self.problems.push(
                Problem::new(Code::InvalidTree, "every task hangs under another one")
                    .in_field("parent_id")
                    .expecting("at least one task without a parent")
                    .known_as(detail),
            );
        }
        let mut parents = vec![None; specs.len()];
        for (task, spec) in specs.iter().enumerate() {
            let Some(to) = &spec.parent else { continue };
            match self.find(to) {
                Ok(parent) => parents[task] = Some(parent),
                Err(missing) => self.missing(task, "parent_id".to_owned(), to, &missing, true),
            }
        }
        parents
    }

    /// What hangs under each task, and an order in which parents come before what hangs under them.
    fn tree(
        &mut self,
        parents: &[Option<usize>],
        limits: &Limits,
    ) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut children = vec![Vec::new(); parents.len()];
        for (task, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(task);
            }
        }
        let mut depth = vec![0_usize; parents.len()];
        let mut order: Vec<usize> =
            (0..parents.len()).filter(|task| parents[*task].is_none()).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            for child in &children[task] {
                depth[*child] = depth[task] + 1;
                order.push(*child);
            }
        }
        if let Some(deep) = order.iter().find(|task| depth[**task] >= limits.depth) {
            let problem = Problem::new(
                Code::TooLarge,
                format!("it hangs more than {} levels deep", limits.depth),
            )
            .of_task(self.label(*deep))
            .in_field("parent_id")
            .hinting("use dependencies for order; parents only group tasks");
            self.problems.push(problem);
        }
        if order.len() < parents.len() {
            self.parent_loops(parents, &order);
        }
        (children, order)
    }

    fn parent_loops(&mut self, parents: &[Option<usize>], reached: &[usize]) {
        let mut seen: HashSet<usize> = reached.iter().copied().collect();
        for start in 0..parents.len() {
            let mut way = Vec::new();
            let mut at = Some(start);
            while let Some(task) = at.filter(|task| seen.insert(*task)) {
                way.push(task);
                at = parents[task];
            }
            let Some(place) = at.and_then(|met| way.iter().position(|task| *task == met)) else {
                continue;
            };
            let mut path = self.path(&way[place..]);
            path.push(self.label(way[place]));
            let problem = Problem::new(
                Code::InvalidParent,
                format!("each of these tasks hangs under the next: {}", path.join(" -> ")),
            )
            .of_task(self.label(way[place]))
            .in_field("parent_id")
            .along(path)
            .hinting("leave out one `parent_id` of the loop");
            self.problems.push(problem);
        }
    }

    fn path(&self, tasks: &[usize]) -> Vec<String> {
        let mut path: Vec<String> =
            tasks.iter().take(MAX_PATH).map(|task| self.label(*task)).collect();
        if tasks.len() > MAX_PATH {
            path.push(format!("… {} more …", tasks.len() - MAX_PATH));
        }
        path
    }

    /// The tree of each task, checked against what the author said of trees.
    fn trees(&mut self, parents: &[Option<usize>], roots: &[usize], order: &[usize]) -> Vec<usize> {
        let specs = self.specs;
        let mut tree = vec![0; parents.len()];
        for (place, root) in roots.iter().enumerate() {
            tree[*root] = place;
        }
        for task in order {
            if let Some(parent) = parents[*task] {
                tree[*task] = tree[parent];
            }
        }
        let own = |root: usize| specs[root].tree_id.as_deref().or(specs[root].id.as_deref());
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for root in roots {
            let Some(id) = own(*root) else { continue };
            let Some(other) = taken.insert(id, *root) else { continue };
            // Two roots of one id are told as that.
            if specs[*root].tree_id.is_some() || specs[other].tree_id.is_some() {
                let problem = Problem::new(
                    Code::InvalidTree,
                    format!(
                        "the tree id `{}` belongs to the root {}",
                        shortened(id),
                        self.label(other)
                    ),
                )
                .of_task(self.label(*root))
                .in_field("task_tree_id")
                .expecting("a tree id of its own for each root")
                .found(id)
                .known_as("Different root tasks cannot share the same task_tree_id");
                self.problems.push(problem);
            }
        }
        for task in order.iter().filter(|task| parents[**task].is_some()) {
            let (Some(said), root) = (&specs[*task].tree_id, roots[tree[*task]]) else { continue };
            if own(root) != Some(said) {
                let problem = Problem::new(
                    Code::InvalidTree,
                    format!("it hangs in the tree of {}, which has another id", self.label(root)),
                )
                .of_task(self.label(*task))
                .in_field("task_tree_id")
                .expecting(own(root).unwrap_or("nothing"))
                .found(said.clone())
                .hinting("set `task_tree_id` on the root only");
                self.problems.push(problem);
            }
        }
        tree
    }

    fn owner(&mut self, caller: Option<&str>) -> Option<String> {
        let said: BTreeSet<&str> =
            self.specs.iter().filter_map(|spec| spec.user_id.as_deref()).collect();
        if said.len() > 1 {
            let listed: Vec<String> =
                said.iter().take(10).map(|user| format!("'{}'", shortened(user))).collect();
            let more = if said.len() > 10 { ", …" } else { "" };
            let listed = format!("{{{}{more}}}", listed.join(", "));
            self.problems.push(
                Problem::new(Code::InvalidTree, format!("the tasks name {} owners", said.len()))
                    .in_field("user_id")
                    .expecting("one owner for all tasks of a submission")
                    .found(listed.clone())
                    .known_as(format!(
                        "All tasks must have the same user_id. Found multiple user_ids: {listed}"
                    )),
            );
        }
        said.first().copied().or(caller).map(str::to_owned)
    }

    fn dependencies(&mut self, limits: &Limits) -> Vec<Vec<(usize, usize)>> {
        let specs = self.specs;
        let mut hard = Vec::with_capacity(specs.len());
        let mut last_dependent = vec![usize::MAX; specs.len()];
        for (task, spec) in specs.iter().enumerate() {
            let mut needs = Vec::with_capacity(spec.dependencies.len().min(limits.dependencies));
            for (place, reference) in spec.dependencies.iter().take(limits.dependencies).enumerate()
            {
                match self.find(&reference.to) {
                    // Of two references to one task the first one counts.
                    Ok(on) if last_dependent[on] == task => {}
                    Ok(on) => {
                        last_dependent[on] = task;
                        needs.push((on, place));
                    }
                    Err(missing) => {
                        let field = format!("dependencies[{place}]");
                        self.missing(task, field, &reference.to, &missing, false);
                    }
                }
            }
            hard.push(needs);
        }
        hard
    }

    fn loops(&mut self, hard: &[Vec<(usize, usize)>]) {
        let mut graph = TaskGraph::new(hard.len());
        for (task, needs) in hard.iter().enumerate() {
            for (on, _) in needs {
                graph.add_need(task, *on, NeedKind::Required);
            }
        }
        let Err(cycles) = graph.order() else { return };
        for cycle in cycles {
            let Some((&first, rest)) = cycle.tasks.split_last() else { continue };
            let mut path = self.path(rest);
            path.push(self.label(first));
            let spec = &self.specs[first];
            let id = spec.id.as_deref().unwrap_or(&spec.name);
            let reason = if rest.len() == 1 {
                "it waits for itself".to_owned()
            } else {
                format!("each of these tasks waits for the next: {}", path.join(" -> "))
            };
            let problem = Problem::new(Code::Cycle, reason)
                .of_task(self.label(first))
                .in_field("dependencies")
                .along(path)
                .known_as(format!(
                    "Circular dependency detected involving task '{id}'. Tasks cannot have \
                     circular dependencies as this would cause infinite loops."
                ))
                .hinting("leave out one dependency of the loop");
            self.problems.push(problem);
        }
    }
}

enum Missing {
    Unknown,
    Ambiguous { first: usize, second: usize },
}
