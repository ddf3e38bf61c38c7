//! Finds accesses to the host: in the actions of a build, in its outputs, and in the trees of the
//! store.

pub mod actions;
pub mod artifact;
pub mod repositories;
pub mod shell;
pub mod trace;
pub mod tree;

use crate::manifest::Allowed;
use crate::reach::matches;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The result may differ between machines.
    Error,
    /// The result may fail to run on another machine, or an access is likely but not proven.
    Warning,
}

impl Severity {
    /// Returns the name of the severity in SARIF.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One kind of access to the host.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its identifier, in reports and in `[audit] allow`.
    pub id: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// A description, as one sentence.
    pub what: &'static str,
    /// How to remove the cause.
    pub fix: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $what:literal $fix:literal)*) => {
        $(#[doc = $what] pub static $name: Rule = Rule { id: $id, severity: Severity::$severity, what: $what, fix: $fix };)*
        /// Every rule, sorted by id.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    ACTION_ENV "action-env" Error "An action sees a variable of the host's environment."
        "take --action_env and use_default_shell_env away, or name the value: --action_env=NAME=value"
    ACTION_PROGRAM "action-program" Error "An action starts a program of the host."
        "register the emitted toolchains; let rules take their tools from toolchains or attributes"
    ELF_INTERPRETER "elf-interpreter" Error "A program asks for a dynamic loader that other machines do not have."
        "link it with the pinned compiler, without -Wl,--dynamic-linker"
    ELF_NEEDED "elf-needed" Warning "A program needs a shared library that neither its runfiles nor glibc hold."
        "depend on a library of the lock (@cotter//:NAME) in place of linkopts = [\"-lNAME\"]"
    GENRULE_PROGRAM "genrule-program" Error "The shell text of an action calls a program that PATH finds."
        "put pinned tools on PATH: tools and toolchains = [\"@cotter//:NAME\"], PATH=$$PWD/$(NAME_BIN)"
    GLIBC_FLOOR "glibc-floor" Error "An output needs a newer glibc than the documented floor."
        "raise [audit] glibc_floor, link it statically, or with the pinned libc"
    HOST_ARCHIVER "host-archiver" Error "An action archives with the host's ar."
        "register the emitted cc toolchain"
    HOST_FILE "host-file" Error "A program of the build opened a file of the host."
        "make it an input"
    HOST_INCLUDE "host-include" Error "A compilation searches a directory of the host for headers."
        "depend on a library of the lock in place of copts = [\"-I/...\"]"
    HOST_LINKER "host-linker" Error "A link uses a linker that is not the toolchain's."
        "take -fuse-ld and -B away"
    HOST_PATH "host-path" Error "A command line names a path of the host."
        "make what lies there an input, and name it by its label"
    HOST_RUN "host-run" Error "A process of the build started a program of the host."
        "take the program from a toolchain of the lock"
    OUTPUT_PATH "output-path" Error "An output holds a path of this machine."
        "find what writes it; the emitted toolchain maps paths, __DATE__ and __TIME__"
    OUTPUT_RPATH "output-rpath" Error "An output looks for its libraries in a fixed directory."
        "take -Wl,-rpath,/... away; Bazel sets $ORIGIN-relative ones"
    PATH_LOOKUP "path-lookup" Error "The shell text of an action searches PATH, or hands it on."
        "name the tool by $(location ...)"
    PYTHON_ZIP "python-zip" Warning "A zip application begins with a line that asks the host for a Python."
        "build without --build_python_zip, or start it as: PYTHON file.zip"
    REPOSITORY_PROBE "repository-probe" Error "A repository rule looks for programs of the host."
        "let it take its tools from the lock, or replace it by a toolchain of the lock"
    SHEBANG "shebang" Error "A script asks for an interpreter of the host."
        "call it through a pinned interpreter: py_binary, or `$(location @cotter//:python) script`"
    TOOL_RPATH "tool-rpath" Error "A checked-in tool looks for its libraries in a fixed directory."
        "build it from source, or pin it as a toolchain of kind \"tool\""
    TOOL_INTERPRETER "tool-interpreter" Error "A checked-in tool needs the host's dynamic loader and libraries."
        "build it from source, or pin it as a toolchain of kind \"tool\""
    TREE_CONSTANT "tree-constant" Error "A program of a tree holds a path of the host, and nothing redirects or seals it."
        "see with `cotter audit tree NAME --run COMMAND` whether it is opened; name the file of the tree by a variable of the program in [toolchains.NAME.env], take the program out of `self_exe`, or take a package or a build of it that is linked dynamically"
    TREE_DATA "tree-data" Warning "A file of a tree names a path of the host, and programs without redirection may read it."
        "see with `cotter audit tree NAME --run COMMAND` whether it matters; name the right place by a variable in [toolchains.NAME.env], or leave the file out with `prune`"
    TREE_FILE "tree-file" Error "A program opened a file of the host."
        "add the package that has the file to `packages` of the toolchain, or name a file of the tree by a variable of the program in [toolchains.NAME.env]; for a file of your home directory, run it with another HOME"
    TREE_INTERPRETER "tree-interpreter" Error "A program of a tree asks for the host's dynamic loader."
        "name it in `bin` of the toolchain, so that it gets a launcher, or leave it out with `prune`"
    TREE_LINK "tree-link" Error "A link of a tree leads out of it, or nowhere."
        "make the tree again: `cotter verify --deep --repair`"
    TREE_NEEDED "tree-needed" Warning "A program or library of a tree needs a library that the tree lacks."
        "add the package that has the library to `packages` of the toolchain"
    TREE_RPATH "tree-rpath" Error "A program or library of a tree looks for its libraries in a fixed directory."
        "lock the toolchain again with this version of cotter, or leave the file out with `prune`"
    TREE_RUN "tree-run" Error "A command started a program of the host."
        "pin the package that has the program as a toolchain, or add it to `packages` of one"
    TREE_SHEBANG "tree-shebang" Error "A script of a tree asks for an interpreter of the host."
        "add the package of the interpreter to `packages` of the toolchain, or leave the script out with `prune`"
    UNDECLARED_FILE "undeclared-file" Error "A program of the build opened a file of the workspace that no target declares."
        "add it to the srcs, data or deps of the target"
}

/// One access to the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The identifier of the rule.
    pub id: &'static str,
    /// The place of the access: a label or a file.
    pub place: String,
    /// The details of the access.
    pub reason: String,
}

impl Finding {
    /// Creates a finding of a rule.
    pub fn new(rule: &'static Rule, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Finding { id: rule.id, place: place.into(), reason: reason.into() }
    }

    /// Returns its rule.
    pub fn rule(&self) -> &'static Rule {
        RULES.iter().find(|r| r.id == self.id).expect("findings are made of rules")
    }

    /// Returns the entry of the allow list that accepts it, if there is one.
    pub fn allowed<'a>(&self, allow: &'a [Allowed]) -> Option<&'a Allowed> {
        allow.iter().find(|a| a.id.value == self.id && matches(&a.place, &self.place))
    }
}

/// Whether an absolute path belongs to the host: it is not Bazel's own, not a device, and not a
/// place for temporary files.
pub fn is_host_path(path: &str) -> bool {
    path.starts_with('/')
        // A label, or a remainder of a URL.
        && !path.starts_with("//")
        && !["/.no/", "/proc/self/cwd", "/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/tmp", "/cotter-runtime/"].iter().any(|p| path.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted_and_unique() {
        let mut ids: Vec<&str> = RULES.iter().map(|r| r.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), RULES.len());
    }

    #[test]
    fn places_match() {
        assert!(matches("*", "//a:b"));
        assert!(matches("//a:*", "//a:b"));
        assert!(matches("//*:b", "//a/c:b"));
        assert!(!matches("//a", "//a:b"));
        assert!(!matches("//a:*c", "//a:b"));
    }
}
