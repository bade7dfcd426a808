//! apflow.
