//! Which trees of a lock a tree needs.

use super::spec::PackagesSpec;
use crate::model::ToolchainName;

/// The trees of the lock that a tree needs, by the names of their toolchains, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// The toolchains needed to make the tree, for the platform of the machine that makes it.
    pub make: Vec<ToolchainName>,
    /// The toolchains needed to run the tree, for the tree's own platform.
    pub run: Vec<ToolchainName>,
}

impl Uses {
    /// Returns what a set of Python packages uses. `builds` is the tree of packages that its builds
    /// import. If any wheel of the set is built locally (`built`), the tools of the build, such as
    /// the compiler, are used too.
    pub fn of_set(set: &PackagesSpec, built: bool, builds: Option<ToolchainName>) -> Uses {
        let mut make = vec![];
        if built {
            make.push(set.interpreter.clone());
            make.extend(set.build_tools.iter().cloned());
            make.extend(builds);
            make.sort();
            make.dedup();
        }
        let mut run = vec![set.interpreter.clone()];
        run.extend(set.libraries.iter().cloned());
        run.sort();
        run.dedup();
        Uses { make, run }
    }
}
