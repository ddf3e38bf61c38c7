//! Compares two results of a build: what differs, down to the section, the member, the field and the
//! line, and what the difference comes from.

mod ar;
mod binary;
mod cause;
mod elf;
mod explain;
mod files;
mod moment;
mod packed;
mod pyc;
mod spot;
mod tape;
mod text;
mod traces;
mod trees;
mod zipped;

pub use cause::{Influence, KnownBuilds, Pair};
pub use moment::Window;
pub use traces::{MachineTrace, MachineValue, traces};
pub use trees::{Comparison, Difference, SpotKey, compare};
