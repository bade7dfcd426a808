//! What the benchmark and the chaos runs share: a database to run on and workflows to run.

pub mod chaos;
pub mod durable;
pub mod floor;
pub mod http;
pub mod load;
pub mod report;
pub mod shape;
