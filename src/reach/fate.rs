//! What becomes of a constant when a program uses it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of a path when the program that holds it opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The program opens the file of the tree in its place.
    Redirected,
    /// It is a directory that many packages share. The program finds what the tree has in it, and
    /// then what the host has in it, unless the host is hidden.
    Shared,
    /// It does not exist for the program.
    Sealed,
    /// It is configuration of the machine, which programs read on purpose.
    Machine,
    /// It is in a library for programs of other trees. What becomes of it depends on them.
    Embedded,
    /// Nothing changes it, but it is known why no file of the host gets into a result.
    Explained(Reason),
    /// Nothing changes it: the program can open the file of the host.
    Open(Why),
}

/// The reason why a constant opens nothing of the host, although nothing changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A compiler or linker puts its sysroot, which its launcher names, before the path.
    Sysroot,
    /// The program replaces the beginning of the path with the place at which it finds itself.
    OwnPlace,
    /// The program writes the text into its output, or prints it.
    Output,
    /// The file holds debug information of the file that is examined, and is found by its
    /// identity.
    DebugFile,
    /// The program uses it after a crash of its own, for a report.
    Crash,
    /// The program reads translations there, which it does only in a locale that no tree has.
    Translation,
    /// A variable that the launcher sets takes its place.
    Variable,
    /// POSIX defines this shell, and the program starts it when its caller asks for a shell.
    Shell,
    /// The program asks the machine for it, because its caller asked for that.
    Asked,
    /// It is for another operating system.
    OtherSystem,
    /// It is a directory for temporary files.
    Temporary,
    /// It is state that programs of the machine keep.
    State,
    /// It is configuration of other programs, which a library of the language reads if the machine
    /// has it.
    Configuration,
    /// No program of the tree reads the file that holds it.
    Unread,
}

/// The reason why a program can open a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The program is linked statically.
    Static,
    /// The program makes system calls itself, as those of Go do.
    SystemCalls,
    /// The program starts through a stub, which does not load the redirection.
    Stub,
    /// The program starts without redirection.
    Plain,
    /// A program without redirection loads the library.
    Loaded,
    /// libc itself opens the file.
    Libc,
    /// The redirection does not cover the path: neither the tree nor its sealed list has it.
    Uncovered,
    /// The interpreter of the script starts without redirection, or is not in the tree.
    Script,
    /// It stands in data, and nothing seals it for the programs that read the data.
    Data,
}

impl Reason {
    /// All reasons, in the order of the documentation.
    #[cfg(test)]
    pub const ALL: [Reason; 14] = [
        Reason::Sysroot,
        Reason::OwnPlace,
        Reason::Output,
        Reason::DebugFile,
        Reason::Crash,
        Reason::Translation,
        Reason::Variable,
        Reason::Shell,
        Reason::Asked,
        Reason::OtherSystem,
        Reason::Temporary,
        Reason::State,
        Reason::Configuration,
        Reason::Unread,
    ];

    /// Returns the identifier of the reason in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Sysroot => "sysroot",
            Reason::OwnPlace => "own-place",
            Reason::Output => "output",
            Reason::DebugFile => "debug-file",
            Reason::Crash => "crash",
            Reason::Translation => "translation",
            Reason::Variable => "variable",
            Reason::Shell => "shell",
            Reason::Asked => "asked",
            Reason::OtherSystem => "other-system",
            Reason::Temporary => "temporary",
            Reason::State => "state",
            Reason::Configuration => "configuration",
            Reason::Unread => "unread",
        }
    }
}

impl Fate {
    /// Returns the name of the fate in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Redirected => "redirected",
            Fate::Shared => "shared",
            Fate::Sealed => "sealed",
            Fate::Machine => "machine",
            Fate::Embedded => "embedded",
            Fate::Explained(_) => "explained",
            Fate::Open(_) => "open",
        }
    }
}

impl Fate {
    /// Returns the identifier of the reason of a fate that has one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Fate::Explained(reason) => Some(reason.as_str()),
            Fate::Open(why) => Some(why.as_str()),
            _ => None,
        }
    }
}

impl Why {
    /// All reasons.
    #[cfg(test)]
    pub const ALL: [Why; 9] = [
        Why::Static,
        Why::SystemCalls,
        Why::Stub,
        Why::Plain,
        Why::Loaded,
        Why::Libc,
        Why::Uncovered,
        Why::Script,
        Why::Data,
    ];

    /// Returns the identifier of the reason, as the facts of a tree record it.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Static => "static",
            Why::SystemCalls => "system-calls",
            Why::Stub => "stub",
            Why::Plain => "plain",
            Why::Loaded => "loaded",
            Why::Libc => "libc",
            Why::Uncovered => "uncovered",
            Why::Script => "script",
            Why::Data => "data",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Static => "it is linked statically, so nothing redirects its paths",
            Why::SystemCalls => "it makes system calls itself, so nothing redirects its paths",
            Why::Stub => "it starts through an in-place stub, which loads no redirection",
            Why::Plain => "it starts without redirection",
            Why::Loaded => "a program without redirection loads it",
            Why::Libc => "libc opens it itself, which no redirection sees",
            Why::Uncovered => "neither the tree nor its sealed list has it",
            Why::Script => "its interpreter starts without redirection",
            Why::Data => {
                "the file is data, and nothing seals the path for the programs that read it"
            }
        })
    }
}

/// What the file that holds a constant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A program, library, script or text of redirected programs.
    Redirected,
    /// One of the files of libc, which opens files without calling itself through its public
    /// functions.
    Libc,
    /// A library for programs of other trees.
    Embedded,
    /// Anything else.
    Open(Why),
}

/// The constants of a tree that name files of the host and that nothing redirects, seals or
/// explains. They follow from the tree alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenReaches {
    /// The number of programs, libraries and scripts that have such a constant.
    pub programs: usize,
    /// The first of them, sorted, each with its first constant.
    pub first: Vec<OpenReach>,
}

/// A file with a constant that names a file of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenReach {
    /// The path of the file in the tree.
    pub file: String,
    /// The constant.
    pub path: String,
    /// The reason why it is open.
    pub why: Why,
}

impl OpenReach {
    /// Returns the path of the file under the name by which users start it: a launcher stands in
    /// the place of the program `.x.real`.
    pub fn program(&self) -> String {
        let (dir, name) = self.file.rsplit_once('/').unwrap_or(("", &self.file));
        match name.strip_prefix('.').and_then(|n| n.strip_suffix(".real")) {
            Some(plain) if dir.is_empty() => plain.to_owned(),
            Some(plain) => format!("{dir}/{plain}"),
            None => self.file.clone(),
        }
    }
}
