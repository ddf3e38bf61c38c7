//! Absolute paths that are constants in the files of a tree, and what becomes of them when a
//! program uses them. Pure.

mod constant;
mod fate;
mod known;
mod survey;
mod text;

pub use constant::{Boundary, constants};
pub use fate::{Fate, Holder, OpenReaches, Reason, Why};
pub use known::{explanation, is_below, matches};
pub use survey::{Constant, Survey};
pub use text::{is_skipped, syntax};
