//! What is known about paths: the configuration of the machine, the directories that all packages
//! share, and constants that open nothing of the host although nothing changes them.

use super::fate::Reason;

/// The configuration and the state of the machine that programs read on purpose: files, and
/// directories with everything below them. docs/audit.md lists them.
const MACHINE: &[&str] = &[
    "/etc/.pwd.lock",
    "/etc/adjtime",
    "/etc/aliases",
    "/etc/debian_version",
    "/etc/ethers",
    "/etc/fstab",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/gshadow",
    "/etc/hesiod.conf",
    "/etc/host.conf",
    "/etc/hostid",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/hosts.equiv",
    "/etc/krb5.conf",
    "/etc/krb5.keytab",
    "/etc/localtime",
    "/etc/login.defs",
    "/etc/lsb-release",
    "/etc/machine-id",
    "/etc/mailcap",
    "/etc/mime.types",
    "/etc/mtab",
    "/etc/netgroup",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/rpc",
    "/etc/security",
    "/etc/selinux",
    "/etc/services",
    "/etc/shadow",
    "/etc/shells",
    "/etc/subgid",
    "/etc/subuid",
    "/etc/suid-debug",
    "/etc/timezone",
    "/etc/ttys",
    "/usr/lib/os-release",
];

/// The directories to which every package may add files, below the root.
const SHARED: &[&str] = &[
    "/bin",
    "/etc",
    "/lib",
    "/lib64",
    "/opt",
    "/sbin",
    "/usr",
    "/usr/bin",
    "/usr/games",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/libx32",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
];

/// A constant that opens nothing of the host.
struct Known {
    /// The name of the recipe of the tree, or `*`.
    recipe: &'static str,
    /// The path of the file in the tree; `*` stands for any characters.
    file: &'static str,
    /// The constant, in the same form.
    path: &'static str,
    reason: Reason,
}

const fn known(
    recipe: &'static str,
    file: &'static str,
    path: &'static str,
    reason: Reason,
) -> Known {
    Known { recipe, file, path, reason }
}

/// The first entry that fits counts. Each was looked at: the source of the program says so, and
/// the traces of tests/it/online/jail.rs show no such file.
const KNOWN: &[Known] = &[
    known("*", "*", "/usr/tmp", Reason::Temporary),
    known("*", "*", "/var/lib/*", Reason::State),
    known("*", "*", "/usr/lib/debug*", Reason::DebugFile),
    known("*", "*", "/usr/lib64/debug*", Reason::DebugFile),
    known("*", "*/libc.so.6", "/bin/*sh", Reason::Shell),
    // What confstr(_CS_PATH) returns.
    known("*", "*/libc.so.6", "/usr/bin", Reason::Output),
    known("*", "*/gconv/gconv-modules.cache", "*", Reason::Variable),
    known("*", "*", "/lib64/ld-linux-x86-64.so.2", Reason::Output),
    known("*", "*", "/lib/ld-linux-aarch64.so.1", Reason::Output),
];

/// Whether a path is configuration or state of the machine.
pub fn is_machine(path: &str) -> bool {
    MACHINE.iter().any(|known| is_below(path, known))
}

/// Whether a path is a directory to which every package may add files.
pub fn is_shared(path: &str) -> bool {
    SHARED.contains(&path)
        || path
            .strip_prefix("/usr/lib/")
            .or_else(|| path.strip_prefix("/lib/"))
            .is_some_and(|name| name.ends_with("-linux-gnu"))
}

/// Returns the reason why a constant opens nothing of the host, if one is known.
pub fn explanation(recipe: &str, file: &str, path: &str) -> Option<Reason> {
    let fits = |pattern: &str, text: &str| pattern == "*" || matches(pattern, text);
    KNOWN
        .iter()
        .find(|k| fits(k.recipe, recipe) && fits(k.path, path) && fits(k.file, file))
        .map(|k| k.reason)
}

/// Whether a path is `dir` or below it.
pub fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
