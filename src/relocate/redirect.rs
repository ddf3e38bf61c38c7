//! Redirection: a library that the loader of the tree preloads into the programs of a tool, if
//! absolute paths are compiled into them. It sends these paths to the tree. `launcher/policy.h`
//! decides at run time; this module finds the paths, decides whether the tree needs the library,
//! and writes the list of the places that do not exist unless the tree has them. The policy is
//! documented in `docs/trees.md`.

use std::collections::BTreeSet;

use super::launcher::REDIRECTION;
use super::paths::is_libc;
use super::symlinks::usrmerged;
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::reach;
use crate::tree::{BlobDir, Node, Tree};

const X86_64: &[u8] = include_bytes!("../../launcher/redirect-x86_64.so");
const AARCH64: &[u8] = include_bytes!("../../launcher/redirect-aarch64.so");

/// The libraries that know closures of Nix.
const CLOSURE_X86_64: &[u8] = include_bytes!("../../launcher/redirect-closure-x86_64.so");
const CLOSURE_AARCH64: &[u8] = include_bytes!("../../launcher/redirect-closure-aarch64.so");

/// The list of sealed places in a tree: a path on each line, an empty line, and the configuration
/// of the machine.
pub const LIST: &str = "usr/lib/.cotter/sealed";

/// The configuration of the machine, which a program sees unless the tree has a file of its own.
/// `docs/trees.md` contains the same list.
pub const MACHINE: &[&str] = &[
    "etc/adjtime",
    "etc/aliases",
    "etc/default/locale",
    "etc/environment",
    "etc/ethers",
    "etc/fstab",
    "etc/gai.conf",
    "etc/group",
    "etc/gshadow",
    "etc/hesiod.conf",
    "etc/host.conf",
    "etc/hostname",
    "etc/hosts",
    "etc/hosts.allow",
    "etc/hosts.deny",
    "etc/krb5.conf",
    "etc/krb5.keytab",
    "etc/ld.so.preload",
    "etc/locale.conf",
    "etc/localtime",
    "etc/login.defs",
    "etc/lsb-release",
    "etc/machine-id",
    "etc/mtab",
    "etc/netgroup",
    "etc/networks",
    "etc/nologin",
    "etc/nsswitch.conf",
    "etc/os-release",
    "etc/pam.conf",
    "etc/pam.d",
    "etc/passwd",
    "etc/printcap",
    "etc/protocols",
    "etc/resolv.conf",
    "etc/rpc",
    "etc/security",
    "etc/selinux",
    "etc/services",
    "etc/shadow",
    "etc/shells",
    "etc/subgid",
    "etc/subuid",
    "etc/sudoers",
    "etc/suid-debug",
    "etc/timezone",
];

/// The directories that packages of all kinds share, below `usr` and `usr/local`. What the tree
/// does not have there is not hidden, except with `--pure`.
const SHARED: &[&str] = &[
    "bin",
    "games",
    "include",
    "lib",
    "lib/cmake",
    "lib/pkgconfig",
    "lib32",
    "lib64",
    "libexec",
    "libx32",
    "sbin",
    "share",
    "share/aclocal",
    "share/applications",
    "share/cmake",
    "share/doc",
    "share/info",
    "share/man",
    "share/pkgconfig",
    "src",
];

/// The directories of configuration that packages share.
const SHARED_CONFIGURATION: &[&str] = &[
    "bash_completion.d",
    "cron.d",
    "cron.daily",
    "default",
    "init.d",
    "ld.so.conf.d",
    "logrotate.d",
    "opt",
    "profile.d",
    "skel",
    "systemd",
    "udev",
    "xdg",
];

/// Places that no constant names as a whole, each with a directory of the tree whose programs look
/// there: Ruby's gems are installed in a directory of state, and Tcl and the libraries of character
/// sets put the names of their files together.
const ALSO_SEALED: &[(&str, &str)] = &[
    ("usr/lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu/charset.alias"),
    ("usr/lib/ruby", "usr/lib/aarch64-linux-gnu/rubygems-integration"),
    ("usr/lib/ruby", "usr/lib/x86_64-linux-gnu/rubygems-integration"),
    ("usr/lib/ruby", "var/lib/gems"),
    ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/charset.alias"),
    ("usr/share/tcltk", "usr/lib/tclIndex"),
];

/// The commands that a tree without them leaves to the machine: the shell that libc itself starts,
/// and the program that `#!` lines and build files of users name to search PATH.
pub const LEFT_TO_THE_MACHINE: &[&str] = &["usr/bin/env", "usr/bin/sh"];

/// What a path of the system means for the programs of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The tree has the path, so the tree gives it.
    Given,
    /// The tree does not have the path, and for its programs it does not exist.
    Sealed,
    /// The path is configuration of the machine.
    Machine,
    /// A program of the tree reaches the host's file.
    Open,
}

/// The places that do not exist for the programs of a tree unless the tree has them.
#[derive(Debug, Default)]
pub struct Sealed {
    /// No path is below another one.
    places: BTreeSet<MemberPath>,
}

impl Sealed {
    /// Determines the sealed places of a tree: the directories that its packages own, and the paths
    /// among `constants` that are neither shared, nor configuration of the machine, nor state.
    fn of<'a>(tree: &Tree, constants: impl Iterator<Item = &'a MemberPath>) -> Sealed {
        let mut all = BTreeSet::new();
        for (path, node) in tree.iter() {
            let Some(owned) = owned_directory(tree, path, node) else { continue };
            // Where packages look for what the administrator has added to their own files.
            if let Some(below) = owned.as_str().strip_prefix("usr/") {
                all.insert(MemberPath::literal(&format!("usr/local/{below}")));
            }
            all.insert(owned);
        }
        let protected: Vec<MemberPath> =
            MACHINE.iter().chain(LEFT_TO_THE_MACHINE).map(|p| MemberPath::literal(p)).collect();
        all.extend(
            constants
                .filter(|c| {
                    is_system(c)
                        && !c.is_under("var")
                        && !is_shared(c)
                        && !protected
                            .iter()
                            .any(|p| c.is_under(p.as_str()) || p.is_under(c.as_str()))
                })
                .cloned(),
        );
        let also = ALSO_SEALED.iter().filter(|(dir, _)| tree.exists(&MemberPath::literal(dir)));
        all.extend(also.map(|(_, place)| MemberPath::literal(place)));
        let mut places: BTreeSet<MemberPath> = BTreeSet::new();
        let mut last: Option<MemberPath> = None;
        for path in all {
            if last.as_ref().is_none_or(|last| !path.is_under(last.as_str())) {
                places.insert(path.clone());
                last = Some(path);
            }
        }
        Sealed { places }
    }

    /// Whether a path does not exist unless the tree has it. An extension may be added to the last
    /// name of a sealed path.
    pub fn contains(&self, path: &MemberPath) -> bool {
        let within = |path: &MemberPath| {
            let place = self.places.range(..=path.clone()).next_back();
            place.is_some_and(|place| path.is_under(place.as_str()))
        };
        within(path)
            || path
                .file_name()
                .rsplit_once('.')
                .is_some_and(|(stem, _)| !stem.is_empty() && within(&path.with_file_name(stem)))
    }

    /// Returns what a path of the system means for the programs of `tree` that are redirected.
    pub fn meaning(&self, tree: &Tree, path: &MemberPath) -> Meaning {
        if tree.real_path(path).is_some() {
            Meaning::Given
        } else if MACHINE.iter().any(|m| path.is_under(m)) {
            Meaning::Machine
        } else if self.contains(path) {
            Meaning::Sealed
        } else {
            Meaning::Open
        }
    }

    /// Reads the list of a tree. A tree without one seals nothing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(tree: &Tree) -> Result<Sealed> {
        let Some((_, blob)) = tree.file(&MemberPath::literal(LIST)) else {
            return Ok(Sealed::default());
        };
        let text = String::from_utf8_lossy(&blob.read()?).into_owned();
        let lines = text.lines().take_while(|line| !line.is_empty());
        // A package may bring a file of this name with any text.
        let place = |line: &str| MemberPath::composed(line.trim_start_matches('/'));
        let places = lines.filter_map(place).collect();
        Ok(Sealed { places })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for place in &self.places {
            out.push_str(&format!("/{place}\n"));
        }
        out.push('\n');
        for path in MACHINE {
            out.push_str(&format!("/{path}\n"));
        }
        out
    }
}

/// Whether the library looks at a path at all.
fn is_system(path: &MemberPath) -> bool {
    ["usr", "etc", "opt", "var/lib"].iter().any(|top| path.is_under(top))
}

/// Whether a directory belongs to no package, so that the host's files in it are visible.
pub fn is_shared(path: &MemberPath) -> bool {
    let text = path.as_str();
    if matches!(text, "usr" | "usr/local" | "etc" | "opt" | "var" | "var/lib") {
        return true;
    }
    if let Some(name) = text.strip_prefix("etc/") {
        return SHARED_CONFIGURATION.contains(&name);
    }
    let Some(below) = text.strip_prefix("usr/") else { return false };
    let below = below.strip_prefix("local/").unwrap_or(below);
    // `lib/x86_64-linux-gnu/pkgconfig` counts as `lib/pkgconfig`.
    let parts: Vec<&str> = below.split('/').collect();
    let plain = match parts[..] {
        [top @ ("lib" | "include" | "libexec"), triple, ref rest @ ..] if is_triple(triple) => {
            [&[top], rest].concat().join("/")
        }
        _ => below.to_owned(),
    };
    SHARED.contains(&plain.as_str())
}

fn is_triple(name: &str) -> bool {
    name.ends_with("-linux-gnu")
}

/// Returns the directory on the way to `path` that packages of the tree own: the first one that is
/// not shared.
fn owned_directory(tree: &Tree, path: &MemberPath, node: &Node) -> Option<MemberPath> {
    if !is_system(path) || path.is_under("var") {
        return None;
    }
    let parts: Vec<&str> = path.parts().collect();
    for n in 1..=parts.len() {
        let dir = MemberPath::literal(&parts[..n].join("/"));
        if is_shared(&dir) {
            continue;
        }
        let is_directory = n < parts.len()
            || match node {
                Node::Directory => true,
                Node::Symlink(_) => {
                    tree.real_path(path).is_some_and(|real| tree.has_members(&real))
                }
                Node::File { .. } => false,
            };
        let is_machine = MACHINE.iter().any(|m| dir.is_under(m));
        return (is_directory && !is_machine).then_some(dir);
    }
    None
}

/// Returns the absolute paths of the system in the bytes of a program, a library or a script, as
/// paths below a root in which `/bin`, `/sbin` and `/lib*` are below `/usr`. If a path is only the
/// beginning of one (`/usr/share/%s`), its directory counts.
pub fn constants(bytes: &[u8]) -> BTreeSet<MemberPath> {
    const TOPS: &[&[u8]] =
        &[b"usr", b"etc", b"opt", b"bin", b"sbin", b"lib", b"lib64", b"lib32", b"libx32", b"var"];
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"_.+@~-/".contains(&b);
    let mut out = BTreeSet::new();
    let mut i = 0;
    while let Some(step) = bytes[i..].iter().position(|b| *b == b'/') {
        let start = i + step;
        i = start + 1;
        let rest = &bytes[i..];
        let top = rest.iter().position(|b| !b.is_ascii_lowercase() && !b.is_ascii_digit());
        if !TOPS.contains(&&rest[..top.unwrap_or(rest.len())])
            || (start > 0 && (in_name(bytes[start - 1]) || b"%}])$*\\".contains(&bytes[start - 1])))
        {
            continue;
        }
        let length = rest.iter().position(|b| !in_name(*b)).unwrap_or(rest.len());
        let end = rest.get(length).copied().unwrap_or(0);
        i += length;
        let mut text = &rest[..length];
        if b"%$*?{[<\\`(".contains(&end) {
            text = &text[..text.iter().rposition(|b| *b == b'/').unwrap_or(0)];
        } else if end != 0 {
            // The end of a sentence.
            while let [before @ .., b'.'] = text {
                text = before;
            }
        }
        if let Ok(Some(path)) = MemberPath::parse(text) {
            out.insert(usrmerged(&path));
        }
    }
    // The loader and the names of separate debug information lie in sections that no program reads.
    out.retain(|path| {
        is_system(path)
            && !path.is_under("usr/lib/debug/.dwz")
            && !path.file_name().starts_with("ld-linux-")
    });
    out
}

/// Returns the paths of the system that a module, a configuration file or other data names, in the
/// same form. Comments and documentation do not count, and in the source text of interpreted
/// languages only paths in quotation marks do.
fn constants_of_text(path: &MemberPath, bytes: &[u8]) -> BTreeSet<MemberPath> {
    let syntax = reach::syntax(path.as_str(), bytes);
    let mut found = BTreeSet::new();
    let accept = |at| syntax.accepts(bytes, at);
    reach::constants(bytes, 0..bytes.len(), syntax.boundary, &accept, &mut found);
    let inner = |text: String| MemberPath::parse(&text.as_bytes()[1..]).ok().flatten();
    found.into_iter().filter_map(inner).map(|path| usrmerged(&path)).collect()
}

/// Puts the library and its list into the tree, if any file names a path that the tree has or that is
/// sealed. Returns whether one does.
///
/// All programs of the tree then need the library, because the programs pass such paths on to each
/// other: bison tells m4 where its skeletons are.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn settle(tree: &mut Tree, blobs: &BlobDir, platform: Platform) -> Result<bool> {
    let found = named(tree)?;
    let sealed = Sealed::of(tree, found.iter());
    let matters =
        |path: &MemberPath| matches!(sealed.meaning(tree, path), Meaning::Given | Meaning::Sealed);
    if !found.iter().any(matters) {
        return Ok(false);
    }
    let library = match platform {
        Platform::X86_64Linux => X86_64,
        Platform::Aarch64Linux => AARCH64,
    };
    put(tree, blobs, library, &sealed)?;
    Ok(true)
}

/// Puts the library for a closure of Nix and its list into the tree. It also sends the paths of the
/// closure to the tree.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn settle_closure(tree: &mut Tree, blobs: &BlobDir, platform: Platform) -> Result<()> {
    let sealed = Sealed::of(tree, named(tree)?.iter());
    let library = match platform {
        Platform::X86_64Linux => CLOSURE_X86_64,
        Platform::Aarch64Linux => CLOSURE_AARCH64,
    };
    put(tree, blobs, library, &sealed)
}

fn put(tree: &mut Tree, blobs: &BlobDir, library: &[u8], sealed: &Sealed) -> Result<()> {
    let text = sealed.text();
    for (path, bytes) in [(REDIRECTION, library), (LIST, text.as_bytes())] {
        let blob = blobs.put(bytes)?;
        tree.put(MemberPath::literal(path), Node::File { blob, executable: false });
    }
    Ok(())
}

/// Returns the paths of the system that the files of a tree name.
fn named(tree: &Tree) -> Result<BTreeSet<MemberPath>> {
    let mut found: BTreeSet<MemberPath> = BTreeSet::new();
    for (path, node) in tree.iter() {
        let Node::File { blob, executable } = node else { continue };
        let head = blob.head(4)?;
        if head.starts_with(b"\x7fELF") && !is_libc(path) {
            found.extend(constants(&blob.read()?));
        } else if head.starts_with(b"#!") && *executable {
            found.extend(constants(&blob.head(1 << 18)?));
        } else if !head.starts_with(b"\x7fELF") && !reach::is_skipped(path.as_str()) {
            found.extend(constants_of_text(path, &blob.read()?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MemberPath {
        MemberPath::literal(text)
    }

    #[test]
    fn constants_are_whole_paths() {
        let text = b"\0/usr/share/perl/5.36\0PATH=/bin:/usr/games\0/etc/foo/%s.conf\0x/usr/no\0see /usr/share/doc/x.\nhttp://h/usr/no /lib64/ld.so \"/opt/a b\" /library/no /usr/lib/$LIB/z /proc/no";
        let found: Vec<String> = constants(text).iter().map(|p| p.to_string()).collect();
        assert_eq!(
            found,
            [
                "etc/foo",
                "opt/a",
                "usr/bin",
                "usr/games",
                "usr/lib",
                "usr/lib64/ld.so",
                "usr/share/doc/x",
                "usr/share/perl/5.36"
            ]
        );
    }

    #[test]
    fn the_documentation_lists_the_configuration_of_the_machine() {
        let page = include_str!("../../docs/trees.md");
        let list = page.split_once("The configuration of the machine consists of").unwrap().1;
        let list = list.split_once("\n\nDetails:").unwrap().0;
        let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        let expected: Vec<String> = MACHINE.iter().map(|m| format!("/{m}")).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn shared_directories_are_those_of_no_package() {
        for (text, expected) in [
            ("usr/lib", true),
            ("usr/lib/x86_64-linux-gnu", true),
            ("usr/lib/x86_64-linux-gnu/pkgconfig", true),
            ("usr/local/lib", true),
            ("usr/lib/x86_64-linux-gnu/perl", false),
            ("usr/lib/git-core", false),
            ("usr/share/perl", false),
            ("usr/bin/perl", false),
            ("usr/local/lib/site_perl", false),
            ("etc", true),
            ("etc/perl", false),
            ("etc/profile.d", true),
        ] {
            assert_eq!(is_shared(&path(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_the_tree_lacks_is_sealed_machine_or_open() {
        let mut tree = Tree::default();
        tree.put(path("usr/share/perl/5.36/strict.pm"), Node::Directory);
        let magic = "../usr/share/perl/5.36/strict.pm".to_owned();
        tree.put(path("etc/magic"), Node::Symlink(magic));
        tree.put(path("etc/security/limits.conf"), Node::Directory);
        let constants = [
            "etc/gitconfig",
            "etc/magic",
            "etc/passwd",
            "usr/bin/sh",
            "usr/bin/vi",
            "usr/lib",
            "usr",
            "var/lib/x",
        ];
        let constants: Vec<MemberPath> = constants.map(path).into();
        let sealed = Sealed::of(&tree, constants.iter());
        for (text, expected) in [
            ("usr/share/perl/5.36/strict.pm", Meaning::Given),
            ("usr/share/perl", Meaning::Given),
            ("usr/share/perl/5.36/none.pm", Meaning::Sealed),
            ("usr/share/perl5", Meaning::Open),
            ("etc/gitconfig", Meaning::Sealed),
            ("etc/magic", Meaning::Given),
            ("etc/magic.mgc", Meaning::Sealed),
            ("etc/gitconfig2", Meaning::Open),
            ("etc/passwd", Meaning::Machine),
            ("etc/security/pam_env.conf", Meaning::Machine),
            ("usr/bin/vi", Meaning::Sealed),
            ("usr/bin/sh", Meaning::Open),
            ("usr/lib/other", Meaning::Open),
            ("var/lib/x", Meaning::Open),
        ] {
            assert_eq!(sealed.meaning(&tree, &path(text)), expected, "{text}");
        }
        assert!(sealed.text().starts_with(
            "/etc/gitconfig\n/etc/magic\n/usr/bin/vi\n/usr/local/share/perl\n/usr/share/perl\n\n/etc/adjtime\n"
        ));
    }
}
