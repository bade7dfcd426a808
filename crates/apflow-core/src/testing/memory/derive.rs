//! Making tasks from stored ones in the store in memory, and keys that stand for an answer.

use std::{sync::Arc, time::Duration};

use super::rows::{Answer, Key, Rows, TaskRow, seq};
use crate::{
    derive::{self, Derive, Derived, Made, New, Source, Sources},
    id::{Ids, TaskId},
    store::{Idempotency, Inserted, NeedKind, StoreError},
    task::{OriginType, Outcome, State, Task},
};

pub(super) fn derive(rows: &mut Rows, wish: &Derive, ids: &dyn Ids) -> Result<Derived, StoreError> {
    let (at, row) =
        rows.find(&wish.task).ok_or_else(|| StoreError::NoSuchTask(wish.task.clone()))?;
    let (tree, forest) = (row.tree, row.forest);
    if !wish.preview
        && let Some(Answer::Stored(first)) = rows.replay(wish.idempotency.as_ref())?
    {
        let inserted = Inserted { replayed: true, ..first };
        return Ok(Derived { inserted, preview: None });
    }
    let members: Vec<usize> =
        rows.all().filter(|(_, row)| row.forest == forest).map(|(at, _)| at).collect();
    let sources = Sources {
        tasks: members.iter().filter_map(|at| source(rows, &members, *at)).collect(),
        options: rows.trees[tree].record.options,
    };
    match derive::derive(&sources, wish, ids)? {
        Made::Archived(archived) => {
            let tree = rows.trees[tree].record.id.clone();
            let old =
                Inserted { trees: vec![tree], roots: vec![wish.task.clone()], replayed: false };
            if wish.preview {
                let mut preview = Vec::new();
                for (index, definition) in archived {
                    let record = super::record(rows, members[index]);
                    preview
                        .extend(record.map(|record| crate::task::Record { definition, ..record }));
                }
                return Ok(Derived { inserted: old, preview: Some(preview) });
            }
            for (index, definition) in archived {
                if let Some(row) = rows.row_mut(members[index]) {
                    row.definition = Arc::new(definition);
                }
                rows.schedules.remove(&members[index]);
            }
            rows.remember(wish.idempotency.clone(), Answer::Stored(old.clone()));
            debug_assert!(rows.row(at).is_some(), "archiving removes nothing");
            Ok(Derived { inserted: old, preview: None })
        }
        Made::New(new) => store(rows, wish, new),
    }
}

fn source(rows: &Rows, members: &[usize], at: usize) -> Option<Source> {
    let row = rows.row(at)?;
    let seen = super::record(rows, at)?;
    Some(Source {
        id: row.id.clone(),
        tree: row.tree,
        parent: row.parent.and_then(|parent| members.binary_search(&parent).ok()),
        completed: seen.task.state == State::Completed,
        spawned: 0,
        definition: seen.definition,
    })
}

fn store(rows: &mut Rows, wish: &Derive, new: New) -> Result<Derived, StoreError> {
    if wish.preview {
        let record = |id: &Option<TaskId>| {
            let (at, _) = rows.find(id.as_ref()?)?;
            super::record(rows, at)
        };
        let originals = new.links.iter().map(record).collect();
        let trees = &new.submission.trees;
        let inserted = Inserted {
            trees: trees.iter().map(|tree| tree.id.clone()).collect(),
            roots: trees.iter().map(|tree| new.submission.tasks[tree.root].id.clone()).collect(),
            replayed: false,
        };
        let preview = derive::preview(&new, originals, rows.now);
        return Ok(Derived { inserted, preview: Some(preview) });
    }
    let (first_task, first_tree, forest) = (rows.tasks.len(), rows.trees.len(), rows.forests);
    let inserted = super::insert(rows, new.submission)?;
    let now = rows.now;
    for (index, link) in new.links.iter().enumerate() {
        let Some(original) = link else { continue };
        let original = rows.find(original).map(|(at, _)| at);
        let at = first_task + index;
        if let Some(row) = rows.row_mut(at) {
            row.original = original;
            row.task = Task {
                priority: row.task.priority,
                ..Task::link(seq(at), row.task.tree, seq(forest), now)
            };
        }
    }
    for tree in first_tree..rows.trees.len() {
        let whole = rows
            .all()
            .filter(|(_, row)| row.tree == tree)
            .all(|(_, row)| row.definition.origin.kind == OriginType::Link);
        if whole {
            let row = &mut rows.trees[tree];
            (row.outcome, row.started_at, row.finished_at) =
                (Some(Outcome::Completed), Some(now), Some(now));
        }
    }
    Ok(Derived { inserted, preview: None })
}

impl Rows {
    /// The row in which readers find what a task says: a link's original.
    pub(super) fn seen(&self, at: usize) -> Option<&TaskRow> {
        let row = self.row(at)?;
        Some(row.original.and_then(|original| self.row(original)).unwrap_or(row))
    }

    /// Whether others may rely on what a tree says.
    pub(super) fn is_linked_from_elsewhere(&self, tree: usize) -> bool {
        self.all().any(|(_, row)| {
            let original = row.original.and_then(|original| self.row(original));
            original.is_some_and(|original| original.tree == tree)
        })
    }

    /// Whether a run may begin with these tasks: the originals of the links it reads are there, and
    /// nobody else is reading what it would do again.
    pub(super) fn may_begin(&self, forest: usize, begins: &[usize]) -> Result<(), StoreError> {
        for (_, row) in self.all().filter(|(_, row)| row.forest == forest) {
            let original = row.original.and_then(|original| self.row(original));
            if original.is_some_and(|original| original.task.state != State::Completed) {
                return Err(StoreError::UnfinishedOriginal { link: row.id.clone() });
            }
        }
        let reader = begins.iter().flat_map(|at| self.links_to(*at)).find(|link| {
            self.all().any(|(_, row)| row.forest == link.forest && self.trees[row.tree].open)
        });
        match reader {
            None => Ok(()),
            Some(link) => {
                Err(StoreError::AlreadyRunning { root: self.trees[link.tree].record.root.clone() })
            }
        }
    }

    /// A way from a task over declared needs back to it, if there is one.
    pub(super) fn loop_through(&self, start: usize) -> Option<Vec<TaskId>> {
        let needs = |of: usize| {
            let declared = self.needs.iter().filter(|need| need.kind != NeedKind::Structure);
            declared.filter(move |need| need.of == of).map(|need| need.on)
        };
        let mut came_from = std::collections::HashMap::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for need in needs(at) {
                if need == start {
                    let mut path = vec![start, at];
                    while let Some(before) = path.last().and_then(|last| came_from.get(last)) {
                        path.push(*before);
                    }
                    if at == start {
                        path.truncate(2);
                    }
                    path.reverse();
                    return Some(
                        path.iter().filter_map(|at| Some(self.row(*at)?.id.clone())).collect(),
                    );
                }
                if came_from.insert(need, at).is_none() {
                    open.push(need);
                }
            }
        }
        None
    }

    /// The first answer to a request that came before under this key.
    pub(super) fn replay(
        &self,
        promise: Option<&Idempotency>,
    ) -> Result<Option<Answer>, StoreError> {
        let known = promise.and_then(|key| self.keys.get(&(key.owner.clone(), key.key.clone())));
        match (promise, known) {
            (Some(promise), Some(known)) if known.digest != promise.digest => {
                Err(StoreError::KeyReused { key: promise.key.clone() })
            }
            (_, known) => Ok(known.map(|known| known.answer.clone())),
        }
    }

    /// Keeps an answer for as long as its key is kept.
    pub(super) fn remember(&mut self, promise: Option<Idempotency>, answer: Answer) {
        let Some(Idempotency { owner, key, digest }) = promise else { return };
        let used_at = self.now;
        self.keys.insert((owner, key), Key { digest, answer, used_at });
    }

    /// Forgets keys that were used so long ago.
    pub(super) fn forget_keys(&mut self, older_than: Duration, limit: u32) -> u64 {
        let before =
            self.now.0.saturating_sub(i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX));
        let mut old: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, key)| key.used_at.0 < before)
            .map(|(name, key)| (key.used_at, name.clone()))
            .collect();
        old.sort();
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (_, name) in &old {
            self.keys.remove(name);
        }
        u64::try_from(old.len()).unwrap_or(u64::MAX)
    }
}
