//! How many streams there are, in all and of each caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use apflow_core::{
    api::{ApiError, Caller},
    code::Code,
};

use super::HttpConfig;

/// Who has how many streams open; whoever has none is not in it.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_caller: HashMap<String, usize>,
}

/// One open stream; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    caller: Option<String>,
}

impl Seats {
    /// A seat, or why there is none.
    pub(super) fn take(
        self: &Arc<Self>,
        config: &HttpConfig,
        caller: &Caller,
    ) -> Result<Seat, ApiError> {
        let mut taken = self.lock();
        if taken.all >= config.streams {
            return Err(ApiError::new(
                Code::TooManyStreams,
                format!("{} event streams are open, which is as many as there may be", taken.all),
            )
            .hint("ask again later; with Last-Event-ID nothing is lost in between"));
        }
        // Who does not say who it is cannot be told from the others, so only the whole is limited.
        let caller = caller.user_id.clone();
        if let Some(user_id) = &caller {
            let own = taken.by_caller.entry(user_id.clone()).or_default();
            if *own >= config.streams_per_caller {
                return Err(ApiError::new(
                    Code::TooManyStreams,
                    format!(
                        "you have {own} event streams open, which is as many as one caller may have"
                    ),
                )
                .hint("close those that nobody reads; one stream can tell of all trees"));
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Seat { seats: Arc::clone(self), caller })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // A panic while it is held leaves counts that are whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(caller) = &self.caller
            && let Some(own) = taken.by_caller.get_mut(caller)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_caller.remove(caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller { user_id: Some(name.to_owned()), ..Caller::default() }
    }

    #[test]
    fn m9_streams_are_limited_for_each_caller_and_in_all() {
        let config = HttpConfig { streams: 3, streams_per_caller: 2, ..HttpConfig::default() };
        let seats = Arc::new(Seats::default());
        let take = |who: &Caller| seats.take(&config, who);
        let first = take(&caller("a")).expect("a seat");
        let _second = take(&caller("a")).expect("a seat");
        let full = take(&caller("a")).expect_err("two are enough for one");
        assert_eq!(full.code, Code::TooManyStreams);
        let _other = take(&caller("b")).expect("others have their own");
        assert!(take(&Caller::local()).is_err(), "three are enough for all");
        drop(first);
        assert!(take(&caller("a")).is_ok(), "what is closed is free again");
    }

    #[test]
    fn whoever_has_gone_is_forgotten() {
        let config = HttpConfig::default();
        let seats = Arc::new(Seats::default());
        for number in 0..100 {
            drop(seats.take(&config, &caller(&number.to_string())).expect("a seat"));
        }
        let taken = seats.lock();
        assert_eq!((taken.all, taken.by_caller.len()), (0, 0));
    }
}
