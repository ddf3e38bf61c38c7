//! Why a line of a list, or an entry of a lock of another tool, is refused.

/// Why something in place of a release is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A version control repository.
    Repository,
    /// An address.
    Address,
    /// An archive of this machine.
    Archive,
    /// A list on a server.
    RemoteList,
    /// Further places in which uv would look for files (`--find-links`).
    Links,
    /// Permission to build a package (`--no-binary`), which only the manifest gives.
    Build,
    /// An option whose meaning is not known, or a file name that others would read in another way.
    Unclear,
}

impl Refusal {
    /// Returns what the line names, to stand behind "names".
    pub fn what(self) -> &'static str {
        match self {
            Refusal::Repository => "a repository in place of a release",
            Refusal::Address => "an address in place of a release",
            Refusal::Archive => "an archive in place of a release",
            Refusal::RemoteList => "a list on a server",
            Refusal::Links => "a place of links beside the index",
            Refusal::Build => "a package to build",
            Refusal::Unclear => "something that can be read in more than one way",
        }
    }

    /// Returns the reason.
    pub fn why(self) -> &'static str {
        match self {
            Refusal::Repository => {
                "a lock names files by hash; a branch has none, and the host's git would be needed to ask for a commit"
            }
            Refusal::Address | Refusal::Archive => {
                "a file in place of a release is a wheel (.whl) or a source distribution (.tar.gz, .zip), without `-e`, #subdirectory, options other than one --hash, and credentials in its address"
            }
            Refusal::Links => {
                "a lock names files of an index by hash, so that every mirror of the index can serve them"
            }
            Refusal::RemoteList => {
                "a server may change the list at any time, and nothing would tell"
            }
            Refusal::Build => {
                "the code of a package that is built runs, and only the manifest may allow that"
            }
            Refusal::Unclear => {
                "cotter and uv must read the same: what only one of them sees could run code, or ask an index, without a question"
            }
        }
    }

    /// Returns the next step.
    pub fn hint(self) -> &'static str {
        match self {
            Refusal::Repository => {
                "name a release, or the archive of one commit by its address: \"lib @ https://SERVER/lib/archive/COMMIT.tar.gz\", with \"lib\" in `build` of the table [requirements.<name>]"
            }
            Refusal::Address | Refusal::Archive => {
                "name such a file: \"lib @ https://SERVER/lib-1.0-py3-none-any.whl\" or \"./lib-1.0-py3-none-any.whl\""
            }
            Refusal::Links => {
                "name a release, or serve the file from an index of yours: [mirrors] python = [...]"
            }
            Refusal::RemoteList => "save the list in the project, and name that file",
            Refusal::Build => {
                "leave the option out, and name the package in `build` of the table [requirements.<name>]"
            }
            Refusal::Unclear => {
                "write plain lines: no options but those of docs/python-packages.md, and addresses and names of lists without spaces, quotes, `$` and the endings of other formats"
            }
        }
    }
}
