//! What the store in memory leaves to databases: an attempt begins from its beginning, and nothing is
//! kept long enough to look after it.

use super::MemoryStore;
use crate::store::{CareStore, CheckpointStore, SnapshotStore};

impl CheckpointStore for MemoryStore {}

impl CareStore for MemoryStore {}

impl SnapshotStore for MemoryStore {}
