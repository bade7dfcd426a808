//! What each operation does, whatever the database: load a set, let the core decide, save a set.

mod again;
mod callbacks;
mod channels;
mod checkpoint;
mod claim;
mod control;
mod derive;
mod effects;
pub(crate) mod flow;
mod history;
mod insert;
mod jump;
pub(crate) mod portable;
mod prune;
pub(crate) mod schedule;
mod settle;
pub(crate) mod snapshot;
mod time;
mod update;
mod waits;
mod working;

pub(crate) use callbacks::{callbacks, free_callbacks};
pub(crate) use channels::channels;
pub(crate) use checkpoint::keep;
pub(crate) use control::{cancel, start};
pub(crate) use derive::{Came as Derivation, Preview, archived, derive};
pub(crate) use insert::{edges_text, insert};
pub(crate) use prune::{forget_keys, prune, retire};
pub(crate) use settle::{Part, settle};
pub(crate) use time::{lapse, recover, renew};
pub(crate) use update::{delete, update};
pub(crate) use waits::{answer, pause, publish};
pub(crate) use working::{Effects, Working};
