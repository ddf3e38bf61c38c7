//! What a recipe has to tell about a tree that it made. `cotter lock` prints it.

use super::generated::Ungenerated;
use super::prune::Idle;
use crate::model::MemberPath;
use crate::relocate::libraries::Unresolved;
use crate::relocate::scripts::DroppedScript;

/// What there is to tell about a tree. Everything except `idle` is only found out while the tree is
/// being locked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// The patterns of the manifest that matched nothing.
    pub idle: Vec<Idle>,
    /// The scripts that were left out or cannot be started, because their interpreter is missing.
    pub dropped: Vec<Dropped>,
    /// The names for which several packages that the manifest names have a program.
    pub conflicts: Vec<NameConflict>,
    /// The named packages that bring no program.
    pub nameless: Vec<NamelessPackage>,
    /// The calls of `update-alternatives` that could not be read.
    pub unread: Vec<UnreadAlternative>,
    /// The libraries that programs and libraries of the tree need and that the tree lacks.
    pub unresolved: Vec<Unresolved>,
    /// The commands of Debian's Essential packages that scripts and programs of the tree start and
    /// that the tree lacks, sorted.
    pub missing: Vec<MissingCommand>,
    /// What Debian generates when it installs the packages, and the tree lacks.
    pub ungenerated: Vec<Ungenerated>,
    /// For a tree of libraries: the newest glibc that one of them needs.
    pub glibc: Option<NeededGlibc>,
}

/// A version of glibc that a library needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededGlibc {
    /// The version, such as `2.38`.
    pub version: String,
    /// The library.
    pub file: MemberPath,
}

/// A script whose interpreter is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The script.
    pub script: DroppedScript,
    /// The package that brought it, if an input of the plan did.
    pub package: Option<String>,
}

/// A name in `bin/` that two programs claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameConflict {
    /// The name.
    pub name: String,
    /// The program that has the name.
    pub taken: MemberPath,
    /// The package of that program.
    pub by: String,
    /// The program that does not have it.
    pub other: MemberPath,
    /// The package of that other program.
    pub of: String,
}

/// A package that the manifest names and that brings no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamelessPackage {
    /// The package.
    pub package: String,
    /// Whether the package consists only of links, documentation and data, like a metapackage.
    pub is_meta: bool,
    /// Whether it has a file in a directory of programs, so that it should bring a program.
    pub has_program_place: bool,
    /// The packages of the tree that bring programs, each with some of their names. The likeliest
    /// come first.
    pub candidates: Vec<(String, Vec<String>)>,
}

/// A call of `update-alternatives` that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadAlternative {
    /// The package whose maintainer script contains it.
    pub package: String,
    /// The words of the call.
    pub call: String,
}

/// A command that a tree needs and lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingCommand {
    /// The name of the command, such as `sed`.
    pub name: String,
    /// The first file that needs it.
    pub needed_by: MemberPath,
}

impl Notes {
    /// Whether more inputs would make the tree more complete: the packages of missing commands, or
    /// those to which a metapackage leads.
    pub fn ask_for_more(&self) -> bool {
        !self.missing.is_empty() || self.nameless.iter().any(|package| package.is_meta)
    }
}
