//! The audit of trees that the test makes: what becomes of each constant, and what setup and lock tell about it.

use serde_json::Value;

use crate::archives::manifest;
use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, fails, ok, text};

/// An ELF file of one loaded segment that holds `strings`. With an interpreter it is a dynamically linked program, with `needed` it has a dynamic section.
fn elf(interpreter: Option<&str>, needed: &[&str], strings: &[u8]) -> Vec<u8> {
    let mut body = vec![];
    let headers = 64 + 4 * 56;
    let place = |body: &Vec<u8>| (headers + body.len()) as u64;
    let mut segments: Vec<(u32, u64, u64)> = vec![];
    if let Some(path) = interpreter {
        segments.push((3, place(&body), path.len() as u64 + 1));
        body.extend(path.bytes());
        body.push(0);
    }
    let mut names = vec![];
    let table = place(&body);
    for name in [""].iter().chain(needed) {
        names.push(place(&body) - table);
        body.extend(name.bytes());
        body.push(0);
    }
    let size = place(&body) - table;
    body.resize(body.len().next_multiple_of(8), 0);
    if !needed.is_empty() || interpreter.is_some() {
        let mut entries: Vec<(u64, u64)> = names[1..].iter().map(|at| (1, *at)).collect();
        entries.extend([(5, table), (10, size), (0, 0)]);
        segments.push((2, place(&body), entries.len() as u64 * 16));
        for (tag, value) in entries {
            body.extend(tag.to_le_bytes());
            body.extend(value.to_le_bytes());
        }
    }
    body.extend(strings);
    segments.push((1, 0, place(&body)));
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    // A position-independent file for x86_64, version 1, entry at 0.
    for (value, width) in [
        (3u64, 2),
        (62, 2),
        (1, 4),
        (0, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (segments.len() as u64, 2),
        (0, 6),
    ] {
        out.extend(&value.to_le_bytes()[..width]);
    }
    for (kind, offset, length) in segments {
        out.extend(kind.to_le_bytes());
        out.extend(4u32.to_le_bytes());
        for value in [offset, offset, offset, length, length, 8] {
            out.extend(value.to_le_bytes());
        }
    }
    out.resize(headers, 0);
    out.extend(body);
    out
}

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A project with the tree of an archive.
fn project(server: &Server, tar: Tar, more: &str) -> Project {
    let bytes = tar.finish();
    Project::new(&manifest(&server.put("/a.tar", bytes.clone()), &bytes, more))
}

/// What `audit tree --json` prints, with the exit code that it must have.
fn audit(project: &Project, code: i32) -> Value {
    let output = project.cotter(&["audit", "tree", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The fates of the constants of a file, as `path fate reason`.
fn fates(found: &Value, file: &str) -> Vec<String> {
    found["trees"][0]["constants"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["file"] == file)
        .map(|c| {
            let reason = c["reason"].as_str().map(|r| format!(" {r}")).unwrap_or_default();
            format!("{} {}{reason}", c["path"].as_str().unwrap(), c["fate"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_static_program_is_open_and_setup_tells_it_once() {
    let server = Server::start();
    let strings =
        b"\0/usr/share/tool/data\0/etc/passwd\0/usr/tmp\0https://a.example/usr/share/no\0";
    let tar = Tar::new()
        .program("bin/tool", &elf(None, &[], strings))
        .program(
            "bin/goer",
            &elf(None, &[], b"\0\xff Go buildinf:\0bad/usr/share/zoneinfo//etc/mygo.conf12"),
        )
        .file("lib/plugin.so", &elf(None, &["libc.so.6"], b"\0/opt/plugin\0"))
        .file("etc/tool.conf", b"# /etc/no\ninclude /etc/tool.d\n")
        .file("share/doc/tool/usage", b"see /etc/no\n");
    let project = project(&server, tar, "");
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: thing: 3 programs can reach files of the host (first: bin/goer names /etc/mygo.conf); `cotter audit tree thing` lists them",
        ],
    );
    let again = text(&project.cotter(&["setup"]).output().unwrap());
    assert!(!again.contains("warning"), "{again}");
    let found = audit(&project, 7);
    assert_eq!(
        fates(&found, "bin/tool"),
        ["/etc/passwd machine", "/usr/share/tool/data open static", "/usr/tmp explained temporary"]
    );
    assert_eq!(
        fates(&found, "bin/goer"),
        ["/etc/mygo.conf open system-calls", "/usr/share/zoneinfo open system-calls"]
    );
    assert_eq!(fates(&found, "lib/plugin.so"), ["/opt/plugin open loaded"]);
    assert_eq!(fates(&found, "etc/tool.conf"), ["/etc/tool.d open data"]);
    assert!(fates(&found, "share/doc/tool/usage").is_empty());
    let told: Vec<(&str, &str)> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["id"].as_str().unwrap(), f["place"].as_str().unwrap()))
        .filter(|(id, _)| *id != "tree-needed")
        .collect();
    assert_eq!(
        told,
        [
            ("tree-constant", "thing/bin/goer"),
            ("tree-constant", "thing/bin/tool"),
            ("tree-constant", "thing/lib/plugin.so"),
            ("tree-data", "thing/etc/tool.conf"),
        ]
    );
    let counts = &found["trees"][0]["counts"];
    assert_eq!((counts["open"].as_u64(), counts["machine"].as_u64()), (Some(5), Some(1)));
    // Every list of text tells what to do for a tree, and nothing of Bazel.
    let plain = fails(7, &mut project.cotter(&["--verbose", "audit", "tree"]));
    contains(
        &plain,
        &[
            "thing: paths of the host in its files: 1 explained, 1 machine, 5 open",
            "thing/bin/tool /etc/passwd machine",
        ],
    );
    for finding in found["findings"].as_array().unwrap() {
        assert!(!finding["fix"].as_str().unwrap().contains("linkopts"), "{finding}");
    }
}

#[test]
fn open_constants_can_be_accepted() {
    let server = Server::start();
    let tar = Tar::new().program("bin/tool", &elf(None, &[], b"\0/usr/share/tool/data\0"));
    let allow = "\n[[audit.allow]]\nid = \"tree-constant\"\nplace = \"thing/bin/*\"\nreason = \"never opened\"\n";
    let project = project(&server, tar, allow);
    contains(
        &text(&project.cotter(&["lock"]).output().unwrap()),
        &["warning: thing: 1 program can reach"],
    );
    let found = audit(&project, 0);
    assert_eq!(found["accepted"][0]["accepted"], "never opened");
}

#[test]
fn what_redirection_does_with_constants_is_told() {
    let server = Server::start();
    let strings = b"\0/usr/share/prog/data\0/usr/share/prog/none\0/etc/prog.conf\0/etc/passwd\0/usr/lib\0/var/lib/prog\0/bin/sh\0";
    let tar = Tar::new()
        .program(
            "usr/lib64/ld-linux-x86-64.so.2",
            &elf(None, &["libc.so.6"], b"\0--argv0\0/etc/suid-debug\0"),
        )
        .file(
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            &elf(
                None,
                &["ld-linux-x86-64.so.2"],
                b"\0LOCPATH\0GCONV_PATH\0/bin/sh\0/usr/lib/own\0",
            ),
        )
        .program("usr/bin/prog", &elf(Some(LOADER), &["libc.so.6"], strings))
        .program("usr/bin/script", b"#!/usr/bin/prog\nopen /etc/script.conf\n")
        .program("usr/bin/static", &elf(None, &[], b"\0/usr/share/prog/data\0"))
        // A program without libc, as some of Go are: the library that redirects paths cannot be loaded into it.
        .program("usr/bin/alone", &elf(Some(LOADER), &[], b"\0/usr/share/prog/data\0"))
        .file("usr/share/prog/data", b"data\n");
    let project = project(&server, tar, "");
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: thing: 2 programs can reach files of the host (first: usr/bin/alone names /usr/share/prog/data)",
        ],
    );
    let found = audit(&project, 7);
    assert_eq!(
        fates(&found, "usr/bin/.prog.real"),
        [
            "/bin/sh explained shell",
            "/etc/passwd machine",
            "/etc/prog.conf sealed",
            "/usr/lib shared",
            "/usr/share/prog/data redirected",
            "/usr/share/prog/none sealed",
            "/var/lib/prog explained state",
        ]
    );
    assert_eq!(fates(&found, "usr/bin/.scripts/script"), ["/etc/script.conf sealed"]);
    assert_eq!(fates(&found, "usr/lib/x86_64-linux-gnu/libc.so.6"), ["/bin/sh explained shell"]);
    assert_eq!(fates(&found, "usr/bin/static"), ["/usr/share/prog/data open static"]);
    assert!(found["trees"][0]["replaced"].as_u64() >= Some(1), "{found}");
}

/// The facts are those of this version: facts that an older one recorded without this part are derived again.
#[test]
fn older_facts_are_derived_again() {
    let server = Server::start();
    let tar = Tar::new().program("bin/tool", &elf(None, &[], b"\0/usr/share/tool/data\0"));
    let project = project(&server, tar, "");
    project.ok(&["setup"]);
    let file = project.store.join("facts").join(&project.stored("facts")[0]);
    let recorded = std::fs::read_to_string(&file).unwrap();
    let mut facts: Value = serde_json::from_str(&recorded).unwrap();
    assert_eq!(facts["facts"]["open"]["programs"], 1);
    assert_eq!(facts["facts"]["open"]["first"][0]["why"], "static");
    facts["facts"].as_object_mut().unwrap().remove("open");
    std::fs::write(&file, facts.to_string()).unwrap();
    std::fs::write(
        project.dir().join("toolchains.toml"),
        std::fs::read(project.dir().join("toolchains.toml")).unwrap(),
    )
    .unwrap();
    project.ok(&["setup"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), recorded);
}

/// `--run` and `--` are the same; a command of the host is itself a finding; a command that fails proves nothing.
#[test]
fn a_command_of_the_host_is_told() {
    let server = Server::start();
    let tar = Tar::new().program("bin/tool", &elf(None, &[], b"\0nothing\0"));
    let project = project(&server, tar, "");
    project.scratch.write("project/file", "hello\n");
    for words in [
        ["audit", "tree", "thing", "--run", "/bin/cat", "file"],
        ["audit", "tree", "thing", "--", "/bin/cat", "file"],
    ] {
        let said = fails(7, &mut project.cotter(&words));
        contains(&said, &["hello", "1 reach to the host"]);
        let listed = project.cotter(&words).output().unwrap();
        contains(
            &String::from_utf8_lossy(&listed.stdout),
            &["tree-run", "bin/cat", "was started by the command line"],
        );
    }
    let said = fails(127, &mut project.cotter(&["audit", "tree", "--run", "no-such-command"]));
    contains(&said, &["no-such-command"]);
    let mut command = project.cotter(&["audit", "tree", "--run", "/bin/cat"]);
    let said = fails(1, command.env("PATH", "/nonexistent"));
    contains(&said, &["--run needs strace", "apt-get install strace"]);
    ok(&mut project.cotter(&["audit", "tree"]));
}
