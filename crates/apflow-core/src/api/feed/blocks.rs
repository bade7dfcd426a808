//! Pieces of the journal that listeners who are behind have read, so that two hundred of them who are
//! behind together read it once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::Item;
use crate::store::StoreError;

/// How many numbers of events one piece spans; fewer events where numbers are missing.
pub(super) const BLOCK: i64 = 64;
/// Pieces that are kept.
const KEPT: usize = 64;

type Cell = Arc<OnceCell<Arc<[Arc<Item>]>>>;

/// The pieces that were read last.
#[derive(Default)]
pub(super) struct Blocks {
    kept: Mutex<VecDeque<(i64, Cell)>>,
}

impl Blocks {
    /// A piece, read by whoever asks first; the others wait for it.
    pub(super) async fn get(
        &self,
        number: i64,
        most_bytes: usize,
        read: impl Future<Output = Result<Arc<[Arc<Item>]>, StoreError>> + Send,
    ) -> Result<Arc<[Arc<Item>]>, StoreError> {
        let cell = {
            let mut kept = self.lock();
            let found = kept.iter().position(|(known, _)| *known == number);
            let entry = found.and_then(|at| kept.remove(at));
            let (number, cell) = entry.unwrap_or_else(|| (number, Cell::default()));
            kept.push_back((number, Arc::clone(&cell)));
            shrink(&mut kept, most_bytes);
            cell
        };
        cell.get_or_try_init(|| read).await.cloned()
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(i64, Cell)>> {
        // A panic while it is held leaves a list that is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what was not asked for the longest; the piece that is asked for now stays.
fn shrink(kept: &mut VecDeque<(i64, Cell)>, most_bytes: usize) {
    let bytes = |cell: &Cell| -> usize {
        cell.get().map_or(0, |items| items.iter().map(|item| item.bytes()).sum())
    };
    let mut all: usize = kept.iter().map(|(_, cell)| bytes(cell)).sum();
    while kept.len() > 1
        && (kept.len() > KEPT || all > most_bytes)
        && let Some((_, cell)) = kept.pop_front()
    {
        all -= bytes(&cell);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn those_who_ask_for_the_same_piece_read_it_once() {
        let blocks = Blocks::default();
        let reads = AtomicUsize::new(0);
        let ask = |number| {
            blocks.get(number, 1000, async {
                reads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(Arc::from([]))
            })
        };
        let (one, two, three) = tokio::join!(ask(7), ask(7), ask(8));
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_reading_that_failed_is_tried_by_the_next() {
        let blocks = Blocks::default();
        let failed = blocks.get(1, 1000, async { Err(StoreError::Conflict) }).await;
        assert!(failed.is_err());
        assert!(blocks.get(1, 1000, async { Ok(Arc::from([])) }).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_not_asked_for_the_longest_goes_first() {
        let blocks = Blocks::default();
        for number in 0..=i64::try_from(KEPT).expect("few") {
            assert!(blocks.get(number, 1000, async { Ok(Arc::from([])) }).await.is_ok());
        }
        let kept: Vec<i64> = blocks.lock().iter().map(|(number, _)| *number).collect();
        assert_eq!((kept.len(), kept[0]), (KEPT, 1));
    }
}
