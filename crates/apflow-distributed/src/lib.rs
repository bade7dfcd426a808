//! Inner crate of apflow.
