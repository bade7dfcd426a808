//! A private PostgreSQL for the tests: found or installed, started in a temporary directory, removed.

mod account;
mod find;
mod install;
mod keeper;
mod server;

pub(crate) use find::find;
pub(crate) use install::{install, make_sure_of_programs};
pub(crate) use keeper::{KEEPER, keep};
pub(crate) use server::Server;
