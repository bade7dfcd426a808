//! The store in memory keeps no checkpoints: an attempt begins from its beginning.

use super::MemoryStore;
use crate::store::CheckpointStore;

impl CheckpointStore for MemoryStore {}
