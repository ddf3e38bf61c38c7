//! Writes trees of the store in the forms of others.

mod blobs;
mod bucket;
mod directory;
mod pack;
mod prune;
mod push;
mod web;

pub use blobs::{Means, open};
pub use pack::{describe, pack};
pub use prune::{PruneRules, prune};
pub use push::{Push, Pushed};
