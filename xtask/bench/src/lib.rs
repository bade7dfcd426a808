//! What the benchmark and the chaos runs share: a database to run on and workflows to run.

pub mod chaos;
pub mod floor;
pub mod report;
pub mod shape;
