//! What each operation does, whatever the database: load a set, let the core decide, save a set.

pub(crate) mod budget;
mod callbacks;
mod claim;
mod control;
mod derive;
mod insert;
mod prune;
pub(crate) mod schedule;
mod settle;
mod time;
mod update;
mod working;

pub(crate) use callbacks::{callbacks, free_callbacks};
pub(crate) use control::{cancel, start};
pub(crate) use derive::{Came as Derivation, Preview, archived, derive};
pub(crate) use insert::insert;
pub(crate) use prune::{forget_keys, prune};
pub(crate) use settle::{Part, settle};
pub(crate) use time::{lapse, recover, renew};
pub(crate) use update::{delete, update};
pub(crate) use working::{Effects, Working};
