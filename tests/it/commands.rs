//! The command line as a person sees it: its messages, exit codes and streams.

use crate::support::server::Server;
use crate::support::{Project, contains, fails, ok};

#[test]
fn everything_wrong_with_a_manifest_is_told_at_once() {
    let text = r#"platforms = ["x86_64-linux", "x86_64-linux", "mips"]
colour = "red"
[mirrors]
debian = ["ftp://x"]
[settings]
hard_link = true
[toolchains.gcc]
kind = "cc"
source = "debain"
[toolchains.py]
kind = "python"
source = "debian"
suite = 3
packages = ["python3.11", "Bad Name"]
package = "x"
[toolchains.node]
kind = "tool"
source = "archive"
version = "twenty"
url = "gopher://x"
sha256 = "abc"
[toolchains.zig]
kind = "tool"
source = "pypi"
libraries = ["py"]
"#;
    let project = Project::new(text);
    let said = project.fails(1, &["lock", "--check"]);
    contains(
        &said,
        &[
            "toolchains.toml has 14 problems",
            "toolchains.toml:1:30: x86_64-linux stands here twice",
            "toolchains.toml:1:46: expected one of \"aarch64-linux\", \"x86_64-linux\", got \"mips\"",
            "toolchains.toml:2:1: unknown key \"colour\" in the manifest",
            "toolchains.toml:4:11: expected an https://, http:// or file:/// URL, got \"ftp://x\"",
            "toolchains.toml:6:1: unknown key \"hard_link\" in [settings]; did you mean \"hard_links\"?",
            "toolchains.toml:9:10: expected one of \"archive\", \"build\", \"debian\", \"nix\", \"pypi\", got \"debain\"; did you mean \"debian\"?",
            "toolchains.toml:13:9: expected a name, a table or an array of them for \"suite\", got an integer",
            "toolchains.toml:14:27: expected the name of a Debian package, perhaps with =version or /suite, got \"Bad Name\"",
            "toolchains.toml:15:1: unknown key \"package\" in [py]; did you mean \"packages\"?",
            "toolchains.toml:19:11: expected a version such as \"1.2.3\", got \"twenty\"",
            "toolchains.toml:20:7: expected an https://, http:// or file:/// URL, or a file of the project, ./<path>, got \"gopher://x\"",
            "toolchains.toml:21:10: expected a sha256 as 64 hexadecimal digits, got \"abc\"",
            "toolchains.toml:25:14: only a toolchain of kind \"cc\" or \"sysroot\" takes libraries, and what is built from source",
            "[zig] needs the key \"version\"",
        ],
    );
    project.assert_store_empty();
}

#[test]
fn syntax_errors_and_duplicate_names_have_their_place() {
    let project = Project::new("[toolchains.a]\nkind = \"tool\n");
    contains(&project.fails(1, &["lock"]), &["toolchains.toml:2:"]);
    project.manifest("[toolchains.a]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1\"\n[toolchains.a]\nkind = \"tool\"\n");
    contains(&project.fails(1, &["lock"]), &["toolchains.toml:5:", "duplicate key"]);
    std::fs::write(project.dir().join("toolchains.toml"), b"a = \"\xff\"").unwrap();
    contains(&project.fails(1, &["lock"]), &["is no UTF-8 text"]);
}

#[test]
fn wrong_usage_has_its_own_code() {
    let project = Project::new("");
    contains(&project.fails(2, &["lokc"]), &["lock"]);
    project.fails(2, &["setup", "--locked", "--frozen"]);
    project.fails(2, &["setup", "--jobs", "0"]);
    project.fails(2, &["setup", "Bad_Name"]);
    contains(
        &fails(1, project.cotter(&["lock"]).current_dir(project.scratch.path())),
        &["there is no toolchains.toml", "cotter init"],
    );
    contains(&project.fails(1, &["setup", "gcc"]), &["there is no toolchain \"gcc\""]);
}

#[test]
fn a_manifest_is_found_above_and_by_name() {
    let server = Server::start();
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.x]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{}\"\n",
        server.put("/x", b"program".to_vec())
    ));
    project.scratch.write("project/deep/below/x", "");
    contains(
        &ok(project.cotter(&["setup"]).current_dir(project.dir().join("deep/below"))),
        &["name"],
    );
    ok(project.cotter(&["setup", "--manifest", "project"]).current_dir(project.scratch.path()));
    contains(
        &fails(1, project.cotter(&["setup"]).env("COTTER_MANIFEST", "absent.toml")),
        &["there is no", "COTTER_MANIFEST"],
    );
}

#[test]
fn init_writes_what_lock_accepts_and_never_overwrites() {
    for (template, name) in [
        ("full", "gcc"),
        ("cpp", "gcc"),
        ("python", "python"),
        ("uv", "uv"),
        ("tool", "jq"),
        ("library", "libraries"),
        ("cross", "gcc-aarch64"),
        ("bazel", "python"),
        ("services", "postgres"),
    ] {
        let project = Project::new("");
        std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
        project.ok(&["init", "--template", template]);
        let output = project.cotter(&["lock", "--check", "--json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        contains(
            &crate::support::text(&output),
            &[
                &format!("\"name\": \"{name}\""),
                "it is not in the lock",
                "there is no toolchains.lock",
            ],
        );
        contains(&project.fails(1, &["init"]), &["is there already"]);
    }
}

#[test]
fn init_looks_at_the_project() {
    for (files, said, tables) in [
        (
            &["CMakeLists.txt", "main.cpp"][..],
            "because there is CMakeLists.txt",
            &["toolchains.gcc", "toolchains.cmake"][..],
        ),
        (&["meson.build"], "because there is meson.build", &["toolchains.gcc", "toolchains.meson"]),
        (
            &["pyproject.toml"],
            "because there is pyproject.toml",
            &["toolchains.python", "toolchains.uv", "requirements.app"],
        ),
        (&["Cargo.toml"], "because there is Cargo.toml", &["toolchains.gcc", "toolchains.rust"]),
        (
            &["go.mod", "package.json"],
            "because there is go.mod, package.json",
            &["toolchains.go", "toolchains.node"],
        ),
        (
            &["WORKSPACE"],
            "because there is WORKSPACE",
            &["toolchains.gcc", "toolchains.python", "emit.bazel"],
        ),
        (&["notes.txt"], "wrote toolchains.toml; next", &["toolchains.gcc", "toolchains.python"]),
    ] {
        let project = Project::new("");
        std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
        for file in files {
            let text = "[project]\nname = \"x\"\nversion = \"1\"\n";
            project.scratch.write(&format!("project/{file}"), text);
        }
        let output = project.cotter(&["init"]).output().unwrap();
        contains(&crate::support::text(&output), &[said, "next: cotter setup"]);
        let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
        let found: Vec<&str> =
            manifest.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).collect();
        assert_eq!(found, tables, "{files:?}");
        contains(&project.fails(3, &["lock", "--check"]), &["there is no toolchains.lock"]);
    }
    // A template names the list of packages that it reads, and brings it if there is none.
    let project = Project::new("");
    std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
    let output = project.cotter(&["init", "--template", "uv"]).output().unwrap();
    contains(&crate::support::text(&output), &["wrote toolchains.toml and requirements.in; next"]);
    contains(&std::fs::read_to_string(project.dir().join("requirements.in")).unwrap(), &["# The"]);
}

/// A repository may hold symlinks to files that are not there yet.
#[test]
fn init_writes_through_no_symlink() {
    for (file, said) in [
        ("toolchains.toml", "toolchains.toml is there already"),
        ("requirements.in", "requirements.in is a symlink that leads nowhere"),
    ] {
        let project = Project::new("");
        std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
        let victim = project.scratch.join("victim");
        std::os::unix::fs::symlink(&victim, project.dir().join(file)).unwrap();
        contains(&project.fails(1, &["init", "--template", "uv"]), &[said]);
        assert!(!victim.exists(), "{file}");
        assert_eq!(crate::support::names(&project.dir()), [file]);
    }
}

#[test]
fn progress_fits_the_terminal_and_nothing_of_it_is_left() {
    let server = Server::start();
    let bytes = crate::support::archive::Tar::new().program("bin/x", &[7; 100_000]).finish();
    let name = "a-rather-long-name-of-a-toolchain";
    let manifest: String = ["x", name]
        .iter()
        .map(|name| {
            server.fault(&format!("/{name}.tar"), crate::support::server::Fault::Slow(200_000));
            let url = server.put(&format!("/{name}.tar"), bytes.clone());
            format!("[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n")
        })
        .collect();
    for columns in [40, 80, 200] {
        let project = Project::new(&format!("platforms = [\"x86_64-linux\"]\n{manifest}"));
        let program = format!("'{}' setup", env!("CARGO_BIN_EXE_cotter"));
        let shown = crate::support::on_terminal(&project.cotter(&[]), &program, columns);
        contains(&shown.screen, &["fetc", "added x for"]);
        for left in ["fetching", "━", "█", "eta"] {
            assert!(!shown.screen.contains(left), "{columns} columns:\n{}", shown.screen);
        }
        // A bar fills its row, and the next one begins where it ends. Sentences may go on in the next row; bars and tables may not.
        let bars = ["resolving ", "fetching ", "composing ", "total ", "reading "];
        let begins = |row: &str| {
            bars.iter().any(|bar| row.starts_with(bar) || bar.starts_with(row.trim_end()))
        };
        let is_broken = |(row, next): &&(String, String)| {
            !(row.starts_with("added ") || (begins(row) && begins(next)))
        };
        let broken: Vec<_> = shown.wrapped.iter().filter(is_broken).collect();
        assert!(broken.is_empty(), "{columns} columns: {broken:#?}\n{}", shown.screen);
    }
}

#[test]
fn progress_is_shown_on_a_terminal() {
    // script(1) gives the program a terminal.
    let server = Server::start();
    let bytes = crate::support::archive::Tar::new().program("bin/x", &[7; 100_000]).finish();
    server.fault("/a.tar", crate::support::server::Fault::Slow(200_000));
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.x]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{}\"\n",
        server.put("/a.tar", bytes)
    ));
    let inner = project.cotter(&[]);
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &format!("{} setup", env!("CARGO_BIN_EXE_cotter")), "/dev/null"]);
    command
        .env_clear()
        .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("TERM", "xterm")
        .current_dir(project.dir());
    let seen = ok(&mut command);
    contains(&seen, &["fetching", "a.tar", "\x1b["]);
}
