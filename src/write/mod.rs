//! Writes trees of the store in the forms of others.

mod blob_store;
mod bucket;
mod directory;
mod pack;
mod place;
mod prune;
mod push;
mod unsigned;
mod web;

pub use pack::{describe, pack};
pub use place::{Means, open};
pub use prune::{PruneRules, prune};
pub use push::{Push, Pushed};
pub use unsigned::write_cache;
