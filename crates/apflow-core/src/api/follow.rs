//! One run from its first event to its end, which is told once.

use std::{collections::HashSet, sync::Arc};

use super::{
    event,
    feed::{Item, Subscription},
};
use crate::{
    id::{TaskId, TreeId},
    store::{EventKind, StoreError},
    task::Outcome,
    time::Timestamp,
};

/// Something to be said on a stream.
#[derive(Debug, Clone)]
pub enum Said {
    /// An event as everybody hears it.
    Item(Arc<Item>),
    /// Something that is said on this stream alone.
    Own {
        /// Its position in the journal, if the journal has it.
        seq: Option<i64>,
        /// The word that names it.
        kind: &'static str,
        /// Its data, as JSON in one line.
        data: String,
    },
}

impl Said {
    /// Its position in the journal, if the journal has it.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Self::Item(item) => Some(item.seq()),
            Self::Own { seq, .. } => *seq,
        }
    }

    /// The word that names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Item(item) => event::kind(item.told.event.kind),
            Self::Own { kind, .. } => kind,
        }
    }

    /// Its data, as JSON in one line.
    pub fn data(&self) -> &str {
        match self {
            Self::Item(item) => &item.data,
            Self::Own { data, .. } => data,
        }
    }
}

/// A run that is followed: its events, one `final`, one `stream_end`, and nothing after it.
pub struct Follow {
    root: TaskId,
    /// Trees whose run has not ended.
    open: HashSet<TreeId>,
    worst: Option<Outcome>,
    subscription: Option<Subscription>,
    /// What is said without being asked of the journal.
    last: Vec<Said>,
}

impl Follow {
    /// A run of these trees.
    pub(super) fn new(root: TaskId, open: HashSet<TreeId>, subscription: Subscription) -> Self {
        let subscription = Some(subscription);
        Self { root, open, worst: None, subscription, last: Vec::new() }
    }

    /// A run that had nothing to do.
    pub(super) fn ended(root: TaskId, outcome: Outcome, at: Timestamp) -> Self {
        let data = event::last(&root, outcome, at).to_string();
        let kind = event::kind(EventKind::RunFinished);
        let last = vec![Said::Own { seq: None, kind, data }, stream_end(&root)];
        Self { root, open: HashSet::new(), worst: None, subscription: None, last }
    }

    /// What comes next; nothing once all was said. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Said>, StoreError> {
        while let Some(subscription) = &mut self.subscription {
            let items = subscription.next().await?;
            let mut said = Vec::with_capacity(items.len());
            for item in items {
                said.extend(self.say(item));
                if self.open.is_empty() {
                    self.subscription = None;
                    said.push(stream_end(&self.root));
                    break;
                }
            }
            if !said.is_empty() {
                return Ok(said);
            }
        }
        Ok(std::mem::take(&mut self.last))
    }

    fn say(&mut self, item: Arc<Item>) -> Option<Said> {
        let Some(outcome) = event::outcome(&item.told) else {
            // A tree that has ended may already run again, for somebody else.
            return self.open.contains(&item.told.event.tree).then_some(Said::Item(item));
        };
        if !self.open.remove(&item.told.event.tree) {
            return None;
        }
        let worst = self.worst.map_or(outcome, |worst| worse(worst, outcome));
        self.worst = Some(worst);
        let seq = Some(item.seq());
        if self.open.is_empty() {
            let data = event::last(&self.root, worst, item.told.event.at).to_string();
            return Some(Said::Own { seq, kind: event::kind(EventKind::RunFinished), data });
        }
        let data = event::part_finished(&item.told).to_string();
        Some(Said::Own { seq, kind: event::RUN_FINISHED, data })
    }
}

fn stream_end(root: &TaskId) -> Said {
    let data = event::stream_end(root).to_string();
    Said::Own { seq: None, kind: event::STREAM_END, data }
}

/// Failed before cancelled before completed.
const fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
        (Outcome::Cancelled, _) | (_, Outcome::Cancelled) => Outcome::Cancelled,
        (Outcome::Completed, Outcome::Completed) => Outcome::Completed,
    }
}
