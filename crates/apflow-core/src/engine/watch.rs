//! Following what happens: signals say when to look, the journal says what there is.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep, timeout},
};

use crate::{
    id::{Seq, TaskId, TreeId},
    store::{Signal, Store, StoreError, TaskEvent},
    task::RunSummary,
};

/// Events read at once.
pub(super) const PAGE: u32 = 256;

/// Waits until the newest run of a tree has ended.
pub(super) async fn wait(
    store: &dyn Store,
    tree: &TreeId,
    back_stop: Duration,
) -> Result<RunSummary, StoreError> {
    // Listening begins before reading: what happens in between is heard.
    let mut ear = Ear::new(store, back_stop, Topic::Ends);
    loop {
        let run = store.run_of_tree(tree).await?;
        let run = run.ok_or_else(|| StoreError::NoSuchTask(TaskId::new(tree.as_str())))?;
        if run.outcome.is_some() && !run.running {
            return Ok(run);
        }
        ear.only = Some(run.tree.seq);
        ear.hear().await;
    }
}

/// The events after `after`, as they happen.
pub(super) fn watch(
    store: Arc<dyn Store>,
    tree: Option<TreeId>,
    after: i64,
    back_stop: Duration,
) -> impl Stream<Item = Result<TaskEvent, StoreError>> + Send + Unpin + use<> {
    let ear = Ear::new(store.as_ref(), back_stop, Topic::Changes);
    let reader = Reader { store, tree, cursor: after, ear, page: VecDeque::new() };
    stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await;
        Some((next, reader))
    })
    .boxed()
}

struct Reader {
    store: Arc<dyn Store>,
    tree: Option<TreeId>,
    cursor: i64,
    ear: Ear,
    page: VecDeque<TaskEvent>,
}

impl Reader {
    async fn next(&mut self) -> Result<TaskEvent, StoreError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.cursor = event.seq;
                return Ok(event);
            }
            self.ear.forget();
            self.page = self.store.events(self.tree.as_ref(), self.cursor, PAGE).await?.into();
            if self.page.is_empty() {
                self.learn_the_row().await?;
                self.ear.hear().await;
            }
        }
    }

    /// Signals name trees by row, so the row has to be known to tell whose they are.
    async fn learn_the_row(&mut self) -> Result<(), StoreError> {
        let (Some(tree), None) = (&self.tree, self.ear.only) else { return Ok(()) };
        if let Some(run) = self.store.run_of_tree(tree).await? {
            self.ear.only = Some(run.tree.seq);
        }
        Ok(())
    }
}

/// What to listen for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Everything that happens.
    Changes,
    /// Runs that end.
    Ends,
}

/// Listens for changes in one tree or in all.
pub(crate) struct Ear {
    topic: Topic,
    signals: broadcast::Receiver<Signal>,
    only: Option<Seq>,
    back_stop: Duration,
}

impl Ear {
    /// Hears whatever happens from now on.
    pub(crate) fn new(store: &dyn Store, back_stop: Duration, topic: Topic) -> Self {
        let signals = match topic {
            Topic::Changes => store.signals(),
            Topic::Ends => store.ends(),
        };
        Self { topic, signals, only: None, back_stop }
    }

    /// Returns when something may have changed, or when it is time to look anyway.
    pub(crate) async fn hear(&mut self) {
        let until = Instant::now() + self.back_stop;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, self.signals.recv()).await {
                Ok(Ok(signal)) if !self.concerns(&signal) => {}
                Ok(Err(RecvError::Closed)) => {
                    sleep(left).await;
                    return;
                }
                // Something changed, or so much that it was not all heard, or time is over.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => return,
            }
        }
    }

    /// Drops what was heard so far: the reading that follows sees all of it.
    pub(crate) fn forget(&mut self) {
        self.signals = self.signals.resubscribe();
    }

    fn concerns(&self, signal: &Signal) -> bool {
        match signal {
            Signal::Finished(trees) => {
                self.topic == Topic::Ends && self.only.is_none_or(|tree| trees.contains(&tree))
            }
            Signal::Changed(trees) => {
                self.topic == Topic::Changes && self.only.is_none_or(|tree| trees.contains(&tree))
            }
            Signal::Ready | Signal::Stopped(_) => false,
        }
    }
}

/// The position of the last event there is, found in a number of reads that grows with its logarithm.
pub(crate) async fn newest(store: &dyn Store) -> Result<i64, StoreError> {
    let Some(first) = store.events(None, 0, 1).await?.into_iter().next() else {
        return Ok(0);
    };
    // Something lies at or after `low`; nothing lies after `high`.
    let (mut low, mut step) = (first.seq, 1_i64);
    let mut high = loop {
        let probe = low.saturating_add(step);
        match store.events(None, probe, 1).await?.into_iter().next() {
            Some(event) => low = event.seq,
            None => break probe,
        }
        step = step.saturating_mul(2);
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match store.events(None, middle, 1).await?.into_iter().next() {
            Some(event) => low = event.seq,
            None => high = middle,
        }
    }
    Ok(low)
}
