//! The commands of Debian's Essential packages. Every Debian system has them, so no package depends
//! on them, although many scripts start them.

/// The packages, each with its commands. `mawk` and `bsdutils` are not Essential by name, but every
/// system has an `awk`, and `bsdutils` belongs to `util-linux`.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash rbash"),
    ("bsdutils", "logger renice script scriptreplay wall"),
    (
        "coreutils",
        "arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot \
         cksum comm cp csplit cut date dd df dir dircolors dirname du env expand expr \
         factor fmt fold groups head hostid id install join link ln logname ls md5sum \
         mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky \
         pr printenv ptx readlink realpath rm rmdir runcon seq sha1sum sha224sum \
         sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum \
         sync tac tail tee timeout touch tr truncate tsort tty uname unexpand uniq unlink \
         users vdir wc who whoami yes",
    ),
    ("dash", "dash sh"),
    ("debianutils", "ischroot run-parts savelog tempfile which"),
    ("diffutils", "cmp diff diff3 sdiff"),
    ("findutils", "find xargs"),
    ("grep", "egrep fgrep grep rgrep"),
    (
        "gzip",
        "gunzip gzexe gzip uncompress zcat zcmp zdiff zegrep zfgrep zforce zgrep zless \
         zmore znew",
    ),
    ("hostname", "dnsdomainname domainname hostname nisdomainname ypdomainname"),
    ("libc-bin", "getconf getent iconv ldd locale localedef tzselect zdump"),
    ("mawk", "awk mawk nawk"),
    ("ncurses-base", TERMINFO),
    ("ncurses-bin", "clear infocmp reset tabs tic toe tput tset"),
    ("perl-base", "perl"),
    ("sed", "sed"),
    ("tar", "rmt tar"),
    (
        "util-linux",
        "chrt flock getopt ionice ipcrm ipcs lscpu mcookie more mountpoint namei nsenter \
         prlimit rename.ul rev setarch setsid taskset unshare whereis",
    ),
];

/// The descriptions of terminals, without which no program can use the terminal. They count as a
/// command of their package.
pub const TERMINFO: &str = "terminfo";

/// The libraries that every program needs and that trees of libraries leave out, because compilers
/// bring them. If such a tree keeps a program, they count as commands of their packages.
pub const RUNTIME: &[(&str, &str)] = &[
    ("libc6", "libc.so.6"),
    ("libcrypt1", "libcrypt.so.1"),
    ("libgcc-s1", "libgcc_s.so.1"),
    ("libstdc++6", "libstdc++.so.6"),
];

/// Packages of every system whose commands scripts do not start.
const OTHERS: &[&str] = &["base-passwd", "login", "util-linux-extra"];

/// Returns the package that brings a command, if every Debian system has it.
pub fn package_of(command: &str) -> Option<&'static str> {
    let has = |(_, commands): &&(&str, &str)| commands.split_whitespace().any(|c| c == command);
    PACKAGES.iter().chain(RUNTIME).find(has).map(|(package, _)| *package)
}

/// Whether a package belongs to every Debian system.
pub fn is_essential(package: &str) -> bool {
    OTHERS.contains(&package) || PACKAGES.iter().any(|(name, _)| *name == package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(PACKAGES.is_sorted_by_key(|(name, _)| *name));
        for (package, commands) in PACKAGES {
            assert!(commands.split_whitespace().is_sorted(), "{package}");
        }
        assert_eq!(package_of("sed"), Some("sed"));
        assert_eq!(package_of("xargs"), Some("findutils"));
        assert_eq!(package_of("libstdc++.so.6"), Some("libstdc++6"));
        assert_eq!(package_of("gcc"), None);
    }
}
