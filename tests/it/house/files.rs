//! Rules for the content of the repository's files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{files_below, none};
use crate::support::REPO;

/// Returns the files that git knows, with the text of the text files.
fn tracked() -> Vec<(String, Option<String>)> {
    let list = Command::new("git").args(["ls-files", "-z"]).current_dir(REPO).output().unwrap();
    assert!(list.status.success(), "{}", crate::support::text(&list));
    let names = String::from_utf8(list.stdout).unwrap();
    let files: Vec<_> = names
        .split_terminator('\0')
        .filter(|name| Path::new(REPO).join(name).is_file())
        .map(|name| (name.to_owned(), std::fs::read_to_string(Path::new(REPO).join(name)).ok()))
        .collect();
    assert!(files.len() > 100, "git knows {} files", files.len());
    files
}

#[test]
fn sources_are_short() {
    for file in files_below(&Path::new(REPO).join("src"), ".rs") {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", file.display());
    }
}

#[test]
fn nothing_that_a_program_made_is_tracked() {
    let links = ["bazel-bin", "bazel-out", "bazel-testlogs"];
    let made: Vec<String> = tracked()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            name.split('/').any(|part| part == "__pycache__" || links.contains(&part))
                || [".pyc", ".pyo", ".snap.new", ".orig", ".rej"].iter().any(|e| name.ends_with(e))
        })
        .collect();
    none(&made);
}

/// Returns the host names in a text: the parts between `//`, optionally with credentials, and the next `/` or `:`.
fn hosts_of(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(|line| line.split("://").skip(1)).filter_map(|rest| {
        let end = |c: char| c.is_whitespace() || "/\"')>,".contains(c);
        let whole = rest.split(end).next().unwrap_or_default();
        let host = whole.rsplit('@').next().unwrap_or_default().split(':').next()?;
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok();
        (host.contains('.') && !local).then(|| host.to_lowercase())
    })
}

/// Returns the hosts of the package registries for which this machine is configured, and the well-known ones.
fn registry_hosts() -> BTreeSet<String> {
    // Each name is in two parts, because this file is examined, too.
    let mut hosts: BTreeSet<String> = [
        ("crates", "io"),
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("rubygems", "org"),
        ("proxy.golang", "org"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("ftp.debian", "org"),
        ("archive.ubuntu", "com"),
        ("bcr.bazel", "build"),
        ("conda.anaconda", "org"),
        ("docker", "io"),
    ]
    .map(|(name, ending)| format!("{name}.{ending}"))
    .into();
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let mut files: Vec<String> = [
        "/etc/apt/sources.list",
        "/etc/pip.conf",
        "/etc/npmrc",
        "/etc/uv/uv.toml",
        &format!("{home}/.config/pip/pip.conf"),
        &format!("{home}/.pip/pip.conf"),
        &format!("{home}/.config/uv/uv.toml"),
        &format!("{home}/.npmrc"),
        &format!("{cargo}/config.toml"),
        &format!("{cargo}/config"),
    ]
    .map(str::to_owned)
    .into();
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.map(|e| e.unwrap().path().display().to_string()));
    }
    for text in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
        hosts.extend(hosts_of(&text));
    }
    for name in [
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "NPM_CONFIG_REGISTRY",
        "npm_config_registry",
        "GOPROXY",
    ] {
        hosts.extend(hosts_of(&std::env::var(name).unwrap_or_default()));
    }
    hosts
}

#[test]
fn no_registry_is_named() {
    let seen: Vec<String> = hosts_of(
        "deb [signed-by=x] https://user:secret@a.example/debian b\n# http://not.example/\nregistry = \"http://c.example:8080/\"\nfile:///etc http://127.0.0.1/x\n",
    )
    .collect();
    assert_eq!(seen, ["a.example", "c.example"]);
    let hosts = registry_hosts();
    let mut problems = vec![];
    // Cargo writes Cargo.lock, which names the registry of every crate.
    for (file, text) in tracked().into_iter().filter(|(name, _)| name != "Cargo.lock") {
        for (number, line) in text.iter().flat_map(|t| t.lines()).enumerate() {
            let line = line.to_lowercase();
            for host in hosts.iter().filter(|host| names_host(&line, host)) {
                problems.push(format!("{file}:{} names the registry {host}", number + 1));
            }
        }
    }
    none(&problems);
}

/// Whether a line names a host or one of its subdomains. A longer word that contains its letters does not count.
fn names_host(line: &str, host: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    line.match_indices(host).any(|(at, _)| {
        !line[..at].ends_with(part_of_word) && !line[at + host.len()..].starts_with(part_of_word)
    })
}

#[test]
fn no_path_of_this_machine_is_named() {
    let mut paths = vec![REPO.to_owned(), env!("CARGO_TARGET_TMPDIR").to_owned()];
    if let Some(home) = std::env::var("HOME").ok().filter(|home| home.len() > 1) {
        paths.push(format!("{home}/."));
    }
    // These are the directories next to the repository, unless the repository is in a directory that any machine may have.
    let parent = Path::new(REPO).parent().unwrap().display().to_string();
    let common = ["/", "/src", "/home", "/tmp", "/opt", "/srv", "/mnt", "/usr/src", "/root"];
    if !common.contains(&parent.as_str()) {
        paths.push(format!("{parent}/"));
    }
    let mut problems = vec![];
    for (file, text) in tracked() {
        for (number, line) in text.iter().flat_map(|t| t.lines()).enumerate() {
            if let Some(path) = paths.iter().find(|path| line.contains(path.as_str())) {
                problems.push(format!("{file}:{} names {path}", number + 1));
            }
        }
    }
    none(&problems);
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut all = files_below(&Path::new(REPO).join("docs"), ".md");
    all.extend(["README.md", "CONTRIBUTING.md"].map(|name| Path::new(REPO).join(name)));
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|l| l.split(')').next())
            .filter(|l| !l.contains("://") && !l.starts_with('#'))
        {
            let target = file.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{} links to {link}", file.display());
        }
    }
}
