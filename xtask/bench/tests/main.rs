//! Real processes under kill -9, SIGSTOP, full disks and dying servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what a run came to is worth reading")]

mod control;
mod durable;
mod full_disk;
mod kills;
#[cfg(feature = "postgres")]
mod postgres;
mod schedules;
mod stage;
mod steps;
