//! Limits and breakers: the model has none.

use super::MemoryStore;
use crate::store::FlowStore;

impl FlowStore for MemoryStore {}
