//! What is asked of the schedule.

use crate::lockfile::{LockedTree, Plan};
use crate::recipe::Stage;

/// A tree to make.
pub struct Order<'a> {
    /// The plan of the tree.
    pub plan: &'a Plan,
    /// The entry of the lock, if there is one: the expected result.
    pub locked: Option<&'a LockedTree>,
    /// How far the tree is known.
    pub stage: Stage,
    /// Whether the tree is put into the store. If not, only its identity is determined. A draft that
    /// will be made again is not put there.
    pub keep: bool,
    /// The positions of the jobs that must be done before this one begins.
    pub after: Vec<usize>,
    /// The interpreter that names the package index.
    pub index_of: Option<&'a LockedTree>,
}
