//! The directories of a GCC in a tree of Debian packages.

use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::tree::Tree;

/// Returns the directory in which Debian keeps the files of a native compiler or of a cross
/// compiler.
pub fn gcc_home(plan: &Plan) -> &'static str {
    if plan.target() == plan.platform { "gcc" } else { "gcc-cross" }
}

/// The directories in which one version of GCC keeps its own files.
#[derive(Debug, PartialEq, Eq)]
pub struct GccDirs {
    /// The directory of headers, start files and libraries, such as
    /// `usr/lib/gcc/x86_64-linux-gnu/14`.
    pub libraries: MemberPath,
    /// The directory of internal programs: up to bookworm the same, and then
    /// `usr/libexec/gcc/x86_64-linux-gnu/14`.
    pub programs: MemberPath,
}

impl GccDirs {
    /// Finds the directories of the newest GCC in a tree by its compiler for C or C++.
    pub fn of(tree: &Tree, plan: &Plan) -> Option<GccDirs> {
        let below = format!("{}/{}", gcc_home(plan), plan.target().multiarch());
        let parents = PARENTS.map(|parent| format!("{parent}/{below}"));
        let is_compiler = |path: &MemberPath| {
            matches!(path.file_name(), "cc1" | "cc1plus")
                && parents.iter().any(|parent| path.is_under(parent))
        };
        let mut dirs: Vec<MemberPath> = tree
            .paths(|path, _| is_compiler(path))
            .into_iter()
            .filter_map(|p| p.parent())
            .collect();
        dirs.sort_by_key(major);
        let programs = dirs.pop()?;
        let libraries = MemberPath::literal(&format!("{}/{}", parents[0], programs.file_name()));
        Some(GccDirs { libraries, programs })
    }

    /// Returns the version, such as 14.
    pub fn major(&self) -> u32 {
        major(&self.libraries)
    }
}

/// Returns the number in the name of a directory of one version.
fn major(directory: &MemberPath) -> u32 {
    directory.file_name().parse().unwrap_or(0)
}

/// The parents of the directories of libraries and of internal programs.
const PARENTS: [&str; 2] = ["usr/lib", "usr/libexec"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lockfile::{CcSpec, Spec};
    use crate::model::Platform;

    #[test]
    fn the_newest_compiler_is_found_in_either_directory() {
        let spec = CcSpec {
            target: Platform::X86_64Linux,
            libraries: vec![],
            selection: Default::default(),
            programs: Default::default(),
        };
        let plan = crate::recipe::tests::plan("gcc", Spec::Cc(spec));
        let of = |programs: &[&str]| {
            let mut tree = Tree::default();
            for path in programs {
                tree.link(MemberPath::literal(path), &MemberPath::literal("usr/bin/x"));
            }
            GccDirs::of(&tree, &plan)
                .map(|gcc| (gcc.libraries.to_string(), gcc.programs.to_string()))
        };
        let expect =
            |libraries: &str, programs: &str| Some((libraries.to_owned(), programs.to_owned()));
        let lib = |version| format!("usr/lib/gcc/x86_64-linux-gnu/{version}");
        let libexec = |version| format!("usr/libexec/gcc/x86_64-linux-gnu/{version}");
        let (old, new) = (format!("{}/cc1", lib(9)), format!("{}/cc1", libexec(14)));
        assert_eq!(of(&[&old]), expect(&lib(9), &lib(9)));
        assert_eq!(of(&[&new, &old]), expect(&lib(14), &libexec(14)));
        assert_eq!(of(&["usr/lib/gcc-cross/x86_64-linux-gnu/12/cc1", "usr/bin/cc1"]), None);
    }
}
