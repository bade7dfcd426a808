//! Parked tasks: the store's part.

use apflow_core::store::WaitStore;

use crate::{read::Reads, store::Database};

impl<R: Reads> WaitStore for Database<R> {}
