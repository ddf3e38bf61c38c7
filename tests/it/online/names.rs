//! The names and the scripts of real packages: alternatives, programs in `usr/sbin` and in private directories, metapackages, scripts that need Essential packages.

use std::path::Path;

use crate::support::{Scratch, contains, in_store, names, shared_store};

/// Each toolchain with its packages and the names that its `bin/` must have.
const TOOLS: &[(&str, &[&str], &[&str])] = &[
    ("jdk", &["openjdk-17-jdk-headless"], &["java", "javac", "jar", "keytool"]),
    ("jre", &["default-jre-headless"], &["java", "keytool"]),
    ("gawk", &["gawk"], &["awk", "gawk", "nawk"]),
    ("mawk", &["mawk"], &["awk", "mawk"]),
    ("vim", &["vim-tiny"], &["vi", "ex", "view"]),
    (
        "autotools",
        &["autoconf", "automake", "libtool"],
        &["autoconf", "autoreconf", "automake", "aclocal", "libtoolize", "autom4te"],
    ),
    ("magick", &["imagemagick"], &["convert", "identify"]),
    ("php", &["php-cli"], &["php", "phar"]),
    ("nginx", &["nginx-light"], &["nginx"]),
    ("lighttpd", &["lighttpd"], &["lighttpd", "lighttpd-angel"]),
    ("postgres", &["postgresql-15"], &["initdb", "postgres", "pg_ctl", "psql"]),
    ("erlang", &["erlang-base"], &["erl", "erlc", "escript", "epmd"]),
    ("valgrind", &["valgrind"], &["valgrind", "ms_print", "cg_annotate"]),
    ("git", &["git"], &["git", "git-shell"]),
    ("pq", &["libpq-dev"], &["pg_config"]),
    ("pydev", &["python3-dev"], &["python3-config"]),
];

/// Names of Essential packages, which the user's own system has.
const HIDDEN: &[&str] = &["ls", "sh", "sed", "lsblk", "getconf", "pager", "editor"];

#[test]
#[ignore = "full suite: locks 16 toolchains"]
fn the_named_packages_have_their_programs() {
    let scratch = Scratch::new();
    let mut manifest = String::new();
    for (name, packages, _) in TOOLS {
        manifest.push_str(&format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = {packages:?}\n"
        ));
    }
    let file = scratch.write("toolchains.toml", manifest);
    let dir = file.parent().unwrap();
    let store = shared_store();
    let out = in_store(store, dir, &["lock"]).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{told}");
    assert!(!told.contains("brings no program"), "{told}");
    let lock = std::fs::read_to_string(dir.join("toolchains.lock")).unwrap();
    let lock = cotter::internals::Lockfile::parse(&lock, "lock").unwrap();
    let mut problems = vec![];
    for (name, _, wanted) in TOOLS {
        let locked = lock.trees.values().find(|t| t.plan.name.as_str() == *name).unwrap();
        let tree = store.join("store").join(locked.output.store_name.as_str());
        let bin = names(&tree.join("bin"));
        for program in wanted.iter().filter(|program| !bin.iter().any(|b| b == *program)) {
            problems.push(format!("{name} has no {program}: {bin:?}"));
        }
        for hidden in HIDDEN.iter().filter(|hidden| bin.iter().any(|b| b == *hidden)) {
            problems.push(format!("{name} has the name {hidden}"));
        }
        for program in &bin {
            let target = tree.join("bin").join(program).canonicalize().unwrap();
            if !target.starts_with(&tree) {
                problems.push(format!("{name}: {program} leads to {}", target.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let tree = |name: &str| {
        let locked = lock.trees.values().find(|t| t.plan.name.as_str() == name).unwrap();
        store.join("store").join(locked.output.store_name.as_str())
    };
    // Git's own scripts keep their bits, and the shell and the commands that they start are there.
    let git = tree("git");
    assert!(is_executable(&git.join("usr/lib/git-core/git-submodule")));
    for command in ["sh", "sed", "grep", "cat", "uname"] {
        assert!(is_executable(&git.join("usr/bin").join(command)), "{command}");
    }
    // The alternative with the highest priority, and the private directory behind it.
    let java = std::fs::read_link(tree("jdk").join("usr/bin/java")).unwrap();
    assert_eq!(java.to_str(), Some("../lib/jvm/java-17-openjdk-amd64/bin/java"));
    contains(
        &std::fs::read_link(tree("postgres").join("bin/initdb")).unwrap().display().to_string(),
        &["usr/lib/postgresql/15/bin/initdb"],
    );
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
}
