//! Messages. Each one names the place, what was expected, what was got, and the next step. The program acts on types and never on its own words.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::{Fault, Server};
use crate::support::{Project, REPO, contains, fails, text};

const GCC: &str = "[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\n";
const TOOL: &str = "[toolchains.x]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\n";
const SETS: &str = "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1\"\n[requirements.app]\n";

/// Problems that follow from the manifest alone are reported without network access.
#[test]
fn a_wrong_manifest_is_told_with_place_expectation_and_next_step() {
    let long = "a".repeat(300);
    let cases: Vec<(String, &[&str])> = vec![
        (String::new(), &["toolchains.toml pins nothing", "[toolchains.<name>], got none", "begin with", "cotter init"]),
        ("platforms = [\"x86_64-linux\"]\n".to_owned(), &["toolchains.toml pins nothing", "cotter init"]),
        (
            format!("{GCC}packages = [\"gcc\"]\nprune = [\"usr/share/**\", \"../x\"]\n"),
            &["toolchains.toml:6:26: expected a pattern of paths below the root of the tree, such as \"usr/share/doc/**\", got \"../x\""],
        ),
        (format!("{GCC}packages = [\"gcc\"]\nkeep = [\"/usr/bin/**\"]\n"), &["toolchains.toml:6:9: expected a pattern", "got \"/usr/bin/**\""]),
        (format!("{GCC}packages = [\"gcc\"]\nprune = [\"usr/share/\"]\n"), &["toolchains.toml:6:10:", "usr/share/doc/**"]),
        (format!("{GCC}packages = [\"gcc\"]\nprune = [\"a/[b\"]\n"), &["toolchains.toml:6:10: expected a path pattern", "got \"a/[b\""]),
        (
            format!("{GCC}packages = [\"gcc=1\"]\nexclude = [\"gcc\"]\n"),
            &["toolchains.toml:6:12: `exclude` names \"gcc\", which `packages` asks for: leave one of the two out"],
        ),
        (
            "[toolchains.z]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"zlib1g-dev\"]\nbin = { x = \"y\" }\n".to_owned(),
            &["toolchains.toml:6:1: libraries have no programs", "leave it out, or make it a toolchain of kind \"tool\""],
        ),
        (
            format!("{GCC}packages = [\"gcc\"]\n{GCC}packages = [\"gcc\"]\n"),
            &["has a problem", "toolchains.toml:6:13: duplicate key: the table [toolchains.gcc] stands here again; the first is at toolchains.toml:1:2"],
        ),
        (
            format!("{GCC}kind = \"cc\"\npackages = [\"gcc\"]\n"),
            &["has a problem", "toolchains.toml:5:1: duplicate key: \"kind\" stands here again; the first is at toolchains.toml:2:1"],
        ),
        (
            format!("[toolchains.{long}]\nkind = \"cc\"\nsource = \"debian\"\n"),
            &["toolchains.toml:1:13: expected a name of at most 64 characters, got one of 300: \"aaaaaaaaaaaaaaaaaaaa...\""],
        ),
        (
            format!("{TOOL}url = \"https://x.example/x-{{arch}}.tar\"\n"),
            &["toolchains.toml:5:7: unknown placeholder {arch}", "{version}, {platform} (such as x86_64-linux) and {cpu} (such as x86_64)"],
        ),
        (format!("{TOOL}url = \"https://x.example/x-{{version.tar\"\n"), &["toolchains.toml:5:7: expected a placeholder's name between braces", "{version}"]),
        (
            format!("{SETS}inputs = [\"Pipfile\"]\n"),
            &["toolchains.toml:11:11: expected a list of requirements (requirements.in, requirements.txt), pyproject.toml", "got \"Pipfile\"", "pipenv requirements"],
        ),
        (format!("{SETS}inputs = [\"poetry.lock\"]\n"), &["toolchains.toml:11:11:", "name the pyproject.toml beside it"]),
        (
            format!("{SETS}inputs = [\"sub/uv.lock\"]\nextras = [\"more\"]\n"),
            &["toolchains.toml:12:1: `extras` are those of a pyproject.toml", "add \"sub/pyproject.toml\" to them"],
        ),
        (
            format!("{SETS}inputs = [\"a.in\"]\noutput = \"../victim.txt\"\n"),
            &["toolchains.toml:12:10: expected a file of its own below the manifest's directory, got \"../victim.txt\""],
        ),
        (format!("{SETS}inputs = [\"a.in\"]\noutput = \"/etc/motd\"\n"), &["toolchains.toml:12:10: expected a file of its own"]),
        (format!("{SETS}inputs = [\"a.in\"]\noutput = \"toolchains.lock\"\n"), &["toolchains.toml:12:10: expected a file of its own"]),
        ("a = \"\0\"\n".to_owned(), &["toolchains.toml:1:6:", "got the control character U+0000"]),
        (
            format!("{TOOL}url = \"https://x.example/x\"\nbin = {{ \"a\\u0000b\" = \"x\" }}\n"),
            &["toolchains.toml:6:9: expected a plain file name, got \"a\\0b\""],
        ),
        (format!("{TOOL}url = \"https://x.example/x\"\nbin = {{ \"a=b\" = \"x\" }}\n"), &["toolchains.toml:6:9: expected a plain file name"]),
        (
            format!("platforms = []\n{TOOL}url = \"https://x.example/x\"\n"),
            &["toolchains.toml:1:1: expected at least one platform, got none: there are \"aarch64-linux\", \"x86_64-linux\""],
        ),
        (
            format!("{GCC}packages = [\"gcc\"]\nurl = \"https://x.example/x\"\n"),
            &["toolchains.toml:6:1: unknown key \"url\" in [gcc]; it belongs to source = \"archive\", and this is source = \"debian\""],
        ),
        (
            format!("platforms = [\"x86_64-linux\", \"aarch64-linux\"]\n{TOOL}[toolchains.x.platform.x86_64-linux]\nurl = \"https://x.example/x\"\n"),
            &["toolchains.toml:2:13: [toolchains.x] has no URL for aarch64-linux", "add `url` to [toolchains.x.platform.aarch64-linux]", "platforms = [\"x86_64-linux\"]"],
        ),
        (format!("{TOOL}url = \"https://x.example/x\"\nsha256 = \"{}\"\n", "+1".repeat(32)), &["toolchains.toml:6:10: expected a sha256 as 64 hexadecimal digits"]),
    ];
    let project = Project::new("");
    for (manifest, words) in cases {
        project.manifest(&manifest);
        let said = project.fails(1, &["lock"]);
        contains(&said, words);
        contains(&project.fails(1, &["setup"]), words);
        assert!(!project.dir().join("toolchains.lock").exists(), "{manifest}");
    }
    project.assert_store_empty();
}

#[test]
fn what_is_no_text_or_no_file_is_told_with_its_line() {
    let project = Project::new("");
    project.scratch.write("project/toolchains.toml", b"# fine\na = \"\xff\"\n");
    let said = project.fails(1, &["lock"]);
    contains(
        &said,
        &[
            "error: toolchains.toml is no UTF-8 text",
            "at: toolchains.toml:2:6",
            "got the byte 0xff",
            "save the file as UTF-8",
        ],
    );
    std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
    std::fs::create_dir(project.dir().join("toolchains.toml")).unwrap();
    contains(
        &project.fails(1, &["lock"]),
        &["error: toolchains.toml is a directory, and was to be a file", "--manifest FILE"],
    );
}

#[test]
fn a_name_that_is_not_known_is_told_with_those_that_are() {
    let project =
        Project::new(&format!("{GCC}packages = [\"gcc\"]\n{TOOL}url = \"http://127.0.0.1:9/x\"\n"));
    contains(
        &project.fails(1, &["setup", "ninja"]),
        &["there is no toolchain \"ninja\"", "there are gcc, x"],
    );
    contains(
        &project.fails(1, &["setup", "gc"]),
        &["there is no toolchain \"gc\"", "did you mean gcc?"],
    );
    contains(
        &project.fails(1, &["lock", "--upgrade", "ninja"]),
        &["there is no toolchain \"ninja\"", "there are gcc, x"],
    );
    // Nothing was locked or fetched in the process.
    assert!(!project.dir().join("toolchains.lock").exists());
}

#[test]
fn wrong_usage_is_told_with_what_would_be_right() {
    let project = Project::new("");
    for days in ["-1", "+1", "1.5", "36526", "99999999999999999999"] {
        contains(
            &project.fails(2, &["gc", "--keep-days", days]),
            &[days, "expected a number of days from 0 to 36525"],
        );
    }
    project.ok(&["gc", "--keep-days", "36525"]);
    let said = project.fails(2, &["exec", "gcc", "--version"]);
    contains(
        &said,
        &[
            "unexpected argument '--version'",
            "the command stands behind `--`: cotter exec gcc -- gcc --version",
        ],
    );
    assert!(!said.contains("--verbose"), "{said}");
}

/// Publishes a Debian archive of the test's own, with two packages.
fn debian(server: &Server, signer: &Signer) {
    let mut archive = Archive::default();
    archive.package(
        "thing",
        "1.0-1",
        "Depends: libthing\n",
        Tar::new().program("./usr/bin/thing", b"program"),
    );
    archive.package("libthing", "1", "", Tar::new().file("./usr/share/thing", b"x"));
    archive.publish(server, signer);
}

fn debian_manifest(mirrors: &[&str], suite: &str, more: &str) -> String {
    format!(
        "platforms = [\"x86_64-linux\"]\n[mirrors]\ndebian = {mirrors:?}\n[settings]\nkeyring = \"keys.asc\"\n[toolchains.thing]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"{suite}\"\n{more}\n"
    )
}

#[test]
fn a_suite_a_component_or_a_package_that_does_not_exist_is_the_users_to_mend() {
    let (server, signer) = (Server::start(), Signer::new());
    debian(&server, &signer);
    let mirror = format!("{}/debian", server.url);
    let project = Project::new("");
    project.scratch.write("project/keys.asc", signer.public());
    // The mirror has no suite of that name, and the archive of old files cannot be reached from a test. Nevertheless, the network is not to blame.
    let lock = |manifest: &str, code: i32| {
        project.manifest(manifest);
        fails(
            code,
            project
                .cotter(&["lock"])
                .env("COTTER_APT_ETC", project.dir())
                .env("COTTER_HTTP_RETRIES", "0")
                .env("https_proxy", "http://127.0.0.1:9"),
        )
    };
    let packages = "packages = [\"thing\"]";
    let wrong = debian_manifest(&[&mirror], "bookwrom", packages);
    contains(
        &lock(&wrong, 1),
        &[
            "at: toolchains.toml:9:9",
            "no mirror has the suite \"bookwrom\" of debian",
            "the server answered 404",
            "of Debian's suites, did you mean bookworm",
            "[mirrors] debian",
        ],
    );
    // If a mirror lists its suites, the list is used.
    server.put(
        "/debian/dists/",
        "<a href=\"../\">up</a><a href=\"test/\">test</a><a href=\"tests-updates/\">x</a>",
    );
    contains(
        &lock(&wrong.replace("bookwrom", "tets"), 1),
        &["of the mirror's suites, did you mean test"],
    );
    // The same is true of a mirror on a disk.
    std::fs::create_dir_all(project.scratch.join("mirror/dists/stable")).unwrap();
    let local = format!("file://{}", project.scratch.join("mirror").display());
    contains(
        &lock(&wrong.replace(&mirror, &local).replace("bookwrom", "stabel"), 1),
        &["there is no such file", "of the mirror's suites, did you mean stable?"],
    );
    // If no server answers, the network is to blame, whatever the name is.
    contains(
        &lock(&wrong.replace(&mirror, "http://127.0.0.1:9/debian"), 5),
        &["can't reach http://127.0.0.1:9/debian"],
    );
    contains(
        &lock(
            &debian_manifest(&[&mirror], "test", &format!("components = [\"mian\"]\n{packages}")),
            1,
        ),
        &["at: toolchains.toml:10:15", "lists no index of mian for amd64", "did you mean main?"],
    );
    contains(
        &lock(&debian_manifest(&[&mirror], "test", "packages = [\"libthing\", \"thingy\"]"), 1),
        &[
            "at: toolchains.toml:10:25",
            "the suite has no package \"thingy\" for amd64",
            "did you mean thing",
        ],
    );
    contains(
        &lock(&debian_manifest(&[&mirror], "test", "packages = [\"thing=9\"]"), 1),
        &["at: toolchains.toml:10:13", "the suite has no version 9 of thing", "it has thing=1.0-1"],
    );
    std::fs::remove_file(project.dir().join("keys.asc")).unwrap();
    contains(
        &lock(&debian_manifest(&[&mirror], "test", packages), 1),
        &["can't read", "keys.asc", "[settings] keyring"],
    );
}

#[test]
fn an_exclusion_that_leaves_nothing_out_is_told() {
    let (server, signer) = (Server::start(), Signer::new());
    debian(&server, &signer);
    let project = Project::new("");
    project.scratch.write("project/keys.asc", signer.public());
    let mirror = format!("{}/debian", server.url);
    project.manifest(&debian_manifest(
        &[&mirror],
        "test",
        "packages = [\"thing\"]\nexclude = [\"libthing\", \"libthingy\"]",
    ));
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: toolchains.toml:11:24: `exclude` of \"libthingy\" leaves nothing out",
            "did you mean libthing",
        ],
    );
    assert_eq!(said.matches("warning:").count(), 1, "{said}");
}

#[test]
fn a_mirror_that_serves_false_bytes_is_named() {
    let (server, signer) = (Server::start(), Signer::new());
    debian(&server, &signer);
    let project = Project::new("");
    project.scratch.write("project/keys.asc", signer.public());
    let good = format!("{}/debian", server.url);
    let bad = Server::start();
    debian(&bad, &signer);
    let package = "/debian/pool/main/thing_1.0-1_amd64.deb";
    bad.fault(package, Fault::Corrupt);
    let packages = "packages = [\"thing\"]";
    let bad_url = format!("{}/debian", bad.url);
    // The next mirror is right, so there is a warning and no failure.
    project.manifest(&debian_manifest(&[&bad_url, &good], "test", packages));
    let output = project.cotter(&["setup"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    contains(
        &text(&output),
        &[
            "warning: thing_1.0-1_amd64.deb is not the file that was locked",
            "expected sha256",
            ", got ",
            &bad.url,
            "another mirror had the right one",
        ],
    );
    // A file with another length than the locked one is wrong, too.
    let empty = |project: &Project| {
        let _ =
            std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
        std::fs::remove_dir_all(&project.store).unwrap();
    };
    empty(&project);
    bad.heal();
    bad.put(package, b"short".to_vec());
    contains(&project.ok(&["setup"]), &["thing"]);
    empty(&project);
    contains(
        &text(&project.cotter(&["setup"]).output().unwrap()),
        &["warning: thing_1.0-1_amd64.deb", &bad.url],
    );
    // No mirror has the right bytes, and the last one, the archive of old files, cannot be reached. The result is a failed verification nevertheless.
    empty(&project);
    project.manifest(&debian_manifest(&[&bad_url], "test", packages));
    let mut setup = project.cotter(&["setup", "--locked"]);
    setup.env("COTTER_HTTP_RETRIES", "0").env("https_proxy", "http://127.0.0.1:9");
    contains(
        &fails(4, &mut setup),
        &[
            "thing_1.0-1_amd64.deb is not the file that was locked",
            "expected ",
            &bad.url,
            "can't reach https://snapshot.",
        ],
    );
    bad.put(package, {
        let mut bytes = Tar::new().finish();
        bytes.truncate(8);
        bytes
    });
    contains(&fails(4, &mut setup), &["is not the file that was locked", "expected "]);
    // An index that is signed by an unknown key is skipped with a warning, too.
    let stranger = Server::start();
    debian(&stranger, &Signer::new());
    empty(&project);
    project.manifest(&debian_manifest(
        &[&format!("{}/debian", stranger.url), &good],
        "test",
        packages,
    ));
    let output = project.cotter(&["lock", "--upgrade"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    contains(
        &text(&output),
        &[
            "warning:",
            &stranger.url,
            "is not signed by a key that is trusted",
            "another mirror had the right one",
        ],
    );
}

/// The first project is in no index, and the second one has no wheel of the version.
#[test]
fn a_python_project_that_does_not_exist_is_the_users_to_mend() {
    let server = Server::start();
    let manifest = |more: &str| {
        format!(
            "platforms = [\"x86_64-linux\"]\n[mirrors]\npython = [\"{}/simple\"]\n[toolchains.zig]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"1.0\"\n{more}",
            server.url
        )
    };
    let project = Project::new(&manifest(""));
    contains(
        &project.fails(1, &["lock"]),
        &[
            "at: toolchains.toml:4:13",
            "no package index in force knows zig",
            "the server answered 404",
            "did you mean ziglang?",
            "check how the project is spelled",
        ],
    );
    server.put("/simple/ziglang/", "<a href=\"../../f/ziglang-1.1-py3-none-any.whl\">x</a>");
    project.manifest(&manifest("package = \"ziglang\"\n"));
    contains(
        &project.fails(1, &["lock"]),
        &[
            "at: toolchains.toml:7:11",
            "the package index has no wheel of ziglang 1.0",
            "it has 1.1",
        ],
    );
    // The newest versions are named, whatever the order of the page is.
    let link = |v: &str| format!("<a href=\"../../f/ziglang-{v}-py3-none-any.whl\">x</a>");
    server.put("/simple/ziglang/", ["20.9", "20.10", "3.5", "20.2"].map(link).concat());
    let said = project.fails(1, &["lock"]);
    contains(&said, &["it has 20.10, 20.9, 20.2\n"]);
    // If an index is down, the network is to blame, because the index may have the project.
    server.fault("/simple/ziglang/", Fault::Status(503, 99));
    contains(
        &fails(5, project.cotter(&["lock"]).env("COTTER_HTTP_RETRIES", "0")),
        &["the server answered 503"],
    );
}

/// With `--json`, the last line of standard error is the error, and standard output contains only a result.
#[test]
fn errors_are_json_where_json_was_asked_for() {
    let json = |project: &Project, code: i32, args: &[&str]| -> serde_json::Value {
        let output = project.cotter(args).env("COTTER_HTTP_RETRIES", "0").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        let error: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["exit_code"], code, "{said}");
        error["error"].clone()
    };
    let server = Server::start();
    let bytes = Tar::new().program("bin/x", b"x").finish();
    let url = server.put("/a.tar", bytes.clone());
    let project = Project::new(&format!("{TOOL}url = \"{url}\"\nsurprise = 1\n"));
    let error = json(&project, 1, &["lock", "--json"]);
    assert_eq!(error["kind"], "user");
    contains(
        error["causes"][0].as_str().unwrap(),
        &["toolchains.toml:6:1: unknown key \"surprise\""],
    );
    assert_eq!(error["cause"]["type"], "problems");
    assert_eq!(error["cause"]["problems"][0]["place"]["line"], 6);
    // The error contains the place and the cause.
    server.fault("/a.tar", Fault::Status(404, 99));
    project.manifest(&format!("{TOOL}url = \"{url}\"\n"));
    let error = json(&project, 5, &["setup", "--json"]);
    assert_eq!(
        error["place"],
        serde_json::json!({ "file": "toolchains.toml", "line": 5, "column": 7 })
    );
    assert_eq!(error["cause"], serde_json::json!({ "type": "http", "status": 404 }));
    server.heal();
    project.ok(&["lock"]);
    let _ = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    assert_eq!(json(&project, 5, &["setup", "--offline", "--json"])["cause"]["type"], "offline");
    server.fault("/a.tar", Fault::Corrupt);
    let error = json(&project, 4, &["setup", "--json"]);
    assert_eq!(
        (&error["kind"], &error["cause"]["type"], &error["cause"]["of"]),
        (&"verification".into(), &"mismatch".into(), &"sha256".into())
    );
    assert_eq!(error["cause"]["expected"], cotter::internals::Digest::of(&bytes).hex());
    assert_ne!(error["cause"]["got"], error["cause"]["expected"]);
    // Incorrect usage is JSON, too. Without the flag, it is text.
    assert_eq!(json(&project, 2, &["lock", "--json", "--jsn"])["kind"], "usage");
    contains(&project.fails(2, &["lock", "--jsn"]), &["error: unexpected argument '--jsn'"]);
    // A result stays on standard output: it lists the stale entries, and the error then says that there are some.
    server.heal();
    project.ok(&["lock"]);
    project.manifest(&format!("{TOOL}url = \"{url}\"\nprune = [\"y/**\"]\n"));
    let output = project.cotter(&["lock", "--check", "--json"]).output().unwrap();
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["stale"][0]["name"], "x");
    assert_eq!(json(&project, 3, &["lock", "--check", "--json"])["kind"], "lock-stale");
}

/// The hint for a full or read-only disk depends on what was written.
#[test]
fn hints_fit_what_was_written() {
    let server = Server::start();
    let project = Project::new(&format!(
        "{TOOL}url = \"{}\"\n",
        server.put("/a.tar", Tar::new().program("bin/x", b"x").finish())
    ));
    project.ok(&["setup"]);
    // Standard output is a full device, so no hint about the store would help.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let said = fails(8, project.cotter(&["list"]).stdout(full));
    contains(
        &said,
        &["can't write to standard output", "send the output to a place that has room"],
    );
    assert!(!said.contains("cotter gc") && !said.contains("--store"), "{said}");
    // A pipe that nobody reads any more ends the program without a failure.
    let mut child = project
        .cotter(&["list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
    // The lock itself cannot be written.
    let script = "mount --bind . .\nmount -o remount,bind,ro .\ncd \"$PWD\"\n\"$1\" lock --upgrade";
    server.put("/a.tar", Tar::new().program("bin/x", b"newer").finish());
    let inner = project.cotter(&[]);
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", script, "sh"])
        .arg(inner.get_program());
    command
        .env_clear()
        .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(project.dir());
    let said = fails(8, &mut command);
    contains(
        &said,
        &[
            "can't write",
            "toolchains.lock",
            "Read-only file system",
            "name a place that you may write to",
        ],
    );
    assert!(!said.contains("--store"), "{said}");
}

/// The error of a composition keeps its context, whatever the name of the toolchain is.
#[test]
fn a_toolchain_may_be_called_bin() {
    let server = Server::start();
    let script = Tar::new().program("bin/x", b"#!/bin/sh\necho\n").finish();
    for name in ["bin", "x", "tree"] {
        let project = Project::new(&format!(
            "platforms = [\"x86_64-linux\"]\n{}url = \"{}\"\n",
            TOOL.replace("[toolchains.x]", &format!("[toolchains.{name}]")),
            server.put("/a.tar", script.clone())
        ));
        contains(
            &project.fails(6, &["setup"]),
            &[&format!("can't compose {name}-1-x86_64-linux"), "bin/x is a script"],
        );
    }
}

/// A problem that only the composed tree shows is reported with its line in the manifest, and with the names that exist.
#[test]
fn what_the_tree_lacks_is_told_with_a_line_and_what_there_is() {
    let server = Server::start();
    let tar = Tar::new().program("x-1/bin/tool", b"x").file("x-1/share/doc", b"x").finish();
    let url = server.put("/a.tar", tar);
    let project = Project::new("");
    let lock = |more: &str| {
        project.manifest(&format!("{TOOL}url = \"{url}\"\n{more}\n"));
        project.fails(1, &["lock"])
    };
    contains(
        &lock("bin = { t = \"x-1/bin/toool\" }"),
        &[
            "at: toolchains.toml:6:9",
            "x has no x-1/bin/toool, which `bin` names",
            "did you mean x-1/bin/tool",
        ],
    );
    contains(
        &lock("bin = { t = \"QQQ\" }"),
        &["at: toolchains.toml:6:9", "there are x-1/bin/tool, x-1/share/doc"],
    );
    contains(
        &lock("strip_prefix = \"y\""),
        &["at: toolchains.toml:1:13", "nothing in a.tar lies below strip_prefix", "x-1"],
    );
}

/// A pattern that matches nothing is usually a misspelt name, so there is a warning with its line and with similar names. There is none for a pattern that matches on one of two platforms.
#[test]
fn patterns_that_match_nothing_are_told() {
    let server = Server::start();
    let tar = |dir: &str| {
        Tar::new()
            .file("share/doc/a", b"x")
            .file("usr/share/man/b", b"x")
            .file(&format!("{dir}/c"), b"x")
            .file("d", b"x")
            .finish()
    };
    server.put("/x86_64.tar", tar("lib/x86_64-linux-gnu"));
    server.put("/aarch64.tar", tar("lib/aarch64-linux-gnu"));
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\", \"aarch64-linux\"]\n{TOOL}url = \"{}/{{cpu}}.tar\"\n\
         prune = [\"share/doc/**\", \"share/dok/**\", \"lib/x86_64-linux-gnu/**\", \"usr/share/man/**\"]\n\
         keep = [\"usr/share/man/**\", \"usr/share/men/**\"]\n",
        server.url
    ));
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: toolchains.toml:7:26: `prune` of \"share/dok/**\" matches nothing in x",
            "warning: toolchains.toml:8:29: `keep` of \"usr/share/men/**\" matches nothing in x; there is usr/share/man",
        ],
    );
    assert_eq!(said.matches("warning:").count(), 2, "{said}");
    // Debian's packages are pruned as they are unpacked.
    let signer = Signer::new();
    debian(&server, &signer);
    project.scratch.write("project/keys.asc", signer.public());
    project.manifest(&debian_manifest(
        &[&format!("{}/debian", server.url)],
        "test",
        "packages = [\"thing\"]\nprune = [\"usr/share/thing\", \"usr/share/thong\"]\nself_exe = [\"usr/bin/thong\"]",
    ));
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    contains(
        &said,
        &[
            "warning: toolchains.toml:11:29: `prune` of \"usr/share/thong\" matches nothing",
            "warning: toolchains.toml:12:13: `self_exe` of \"usr/bin/thong\" matches nothing",
        ],
    );
    assert_eq!(said.matches("warning:").count(), 2, "{said}");
}

/// If there are very many problems, some of them are reported, and quickly.
#[test]
fn thousands_of_problems_take_no_time() {
    let project = Project::new("");
    let keys: String = (0..5000).map(|i| format!("platfrom{i} = {i}\n")).collect();
    let tables: String = (0..5000)
        .map(|i| {
            format!(
                "[toolchains.t{i}]\nkind = \"cc\"\nsource = \"debain\"\nlibraries = [\"t{i}x\"]\n"
            )
        })
        .collect();
    let twice: String =
        (0..5000).map(|i| format!("[toolchains.t{}]\nkind = 1\n", i % 2500)).collect();
    for (manifest, count) in [(keys, 5000), (tables, 10_000), (twice, 2500)] {
        project.manifest(&manifest);
        let start = Instant::now();
        let said = project.fails(1, &["lock", "--check"]);
        let took = start.elapsed();
        contains(
            &said,
            &[
                &format!("toolchains.toml has {count} problems"),
                &format!("and {} more", count - 50),
            ],
        );
        assert!(said.lines().count() < 60);
        // The program is not optimised, and the machine may be busy. Quadratic work took ten times as long.
        assert!(took < Duration::from_secs(3), "{count} problems took {took:?}");
    }
}

/// Manifests that were damaged in every way give a message with its exit code and never a panic. Each run uses the same manifests.
#[test]
fn mangled_manifests_never_end_in_a_panic() {
    let examples = [
        "toolchains.toml",
        "examples/libraries/toolchains.toml",
        "examples/flask/toolchains.toml",
        "examples/mixed/toolchains.toml",
        "examples/zig/toolchains.toml",
    ];
    let seeds: Vec<String> = examples
        .iter()
        .map(|f| std::fs::read_to_string(Path::new(REPO).join(f)).unwrap())
        .collect();
    let scraps = [
        "\0",
        "\u{1}",
        "\u{7f}",
        "\u{e9}",
        "\u{202e}",
        "\"",
        "\"\"\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "==",
        ",",
        ".",
        "..",
        "/",
        "//",
        "../../x",
        "\\",
        "\\u0000",
        "\n",
        "\r",
        "#",
        "=1",
        "+1",
        "-1",
        "1e999",
        "nan",
        "99999999999999999999",
        "1979-05-27",
        "true",
        "x = 1\n",
        "[toolchains.bin]\n",
        "[requirements.bin]\n",
        "bin = { \"a\\u0000\" = \"x\" }\n",
        "platforms = []\n",
        "libraries = [\"gcc\", \"\"]\n",
        "target = \"x\"\n",
        "url = \"{\"\n",
        "url = \"mirror://x/../y\"\n",
        "sha256 = \"+1\"\n",
        "packages = [\"=\", \"a=\", \"=1\", \"a=1=2\"]\n",
        "exclude = [\"\"]\n",
        "suite = \"/\"\n",
        "version = \"\u{e9}\"\n",
        "python = [\"python\", \"python\"]\n",
        "inputs = [\"\", \"/\", \"..\"]\n",
        "output = \"\"\n",
    ];
    let deep = "a.".repeat(3000) + "a = 1\n";
    let nested = "a = ".to_owned() + &"[".repeat(3000);
    let mut x = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |below: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x % below.max(1) as u64) as usize
    };
    let mut mangled =
        vec![deep, nested, "x".repeat(100_000), "[".repeat(100_000), "a = \"\u{e9}".to_owned()];
    for _ in 0..4000 {
        let mut text: Vec<char> = seeds[random(seeds.len())].chars().collect();
        for _ in 0..=random(4) {
            let (at, end) = (random(text.len() + 1), random(40));
            match random(4) {
                0 => drop(text.drain(at..(at + end).min(text.len()))),
                1 => text.truncate(at),
                2 => {
                    let copied: Vec<char> = text[at..(at + 3 * end).min(text.len())].to_vec();
                    let to = random(text.len() + 1);
                    text.splice(to..to, copied);
                }
                _ => drop(text.splice(at..at, scraps[random(scraps.len())].chars())),
            }
        }
        mangled.push(text.into_iter().collect());
    }
    let (mut good, mut bad) = (vec![], vec![]);
    for text in mangled {
        let mut problems = cotter::internals::Problems::new("toolchains.toml", &text);
        let manifest = cotter::internals::Manifest::parse(&text, &mut problems);
        let sources = cotter::internals::bind_sources(&manifest, &mut problems);
        for (name, source) in &sources {
            for platform in &manifest.toolchains[name].platforms {
                let _ = source.fingerprint(*platform);
            }
        }
        for set in manifest.requirements.values() {
            for python in &set.python {
                let _ = (set.tree_name(&python.value), set.output(&python.value));
            }
        }
        match problems.check() {
            Ok(()) => good.push(text),
            Err(error) => {
                assert_eq!(error.kind().exit_code(), 1);
                assert!(!error.causes().is_empty() && error.causes().iter().all(|c| !c.is_empty()));
                bad.push(text);
            }
        }
    }
    assert!(good.len() > 100 && bad.len() > 2000, "{} good, {} bad", good.len(), bad.len());
    // The whole program reads some of each. The exit code is 1 for a wrong manifest, and 3 for a right one that is not locked.
    let project = Project::new("");
    for (texts, codes) in [(&bad, &[1][..]), (&good, &[1, 3][..])] {
        for text in texts.iter().step_by(texts.len() / 40) {
            project.manifest(text);
            let output = project.cotter(&["lock", "--check", "--offline"]).output().unwrap();
            let said = crate::support::text(&output);
            assert!(
                output.status.code().is_some_and(|c| codes.contains(&c)),
                "{:?}\n{said}\n{text}",
                output.status
            );
            assert!(!said.contains("panicked"), "{said}\n{text}");
        }
    }
}

/// Damaged locks give a message and never a panic.
#[test]
fn mangled_locks_never_end_in_a_panic() {
    let text =
        std::fs::read_to_string(Path::new(REPO).join("examples/flask/toolchains.lock")).unwrap();
    let scraps = [
        "\0",
        "\u{e9}",
        "\"",
        "\\u0000",
        "..",
        "/",
        "9223372036854775807",
        "-1",
        "+1",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        "[[tree]]\n",
        "version = 0\n",
    ];
    let mut x = 0x2545_F491_4F6C_DD1Du64;
    let mut random = |below: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x % below.max(1) as u64) as usize
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..400 {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=random(3) {
            let (at, len) = (random(chars.len() + 1), random(30));
            match random(3) {
                0 => drop(chars.drain(at..(at + len).min(chars.len()))),
                1 => chars.truncate(at),
                _ => drop(chars.splice(at..at, scraps[random(scraps.len())].chars())),
            }
        }
        let mangled: String = chars.into_iter().collect();
        match cotter::internals::Lockfile::parse(&mangled, "toolchains.lock") {
            Ok(lock) => {
                let _ = lock.render();
                for tree in lock.trees.values() {
                    let _ = (tree.plan.snapshot(), tree.plan.tree_name());
                }
                good += 1;
            }
            Err(error) => {
                assert!([1, 3].contains(&error.kind().exit_code()), "{error}");
                bad += 1;
            }
        }
    }
    assert!(bad > 100 && good > 0, "{good} good, {bad} bad");
}

/// Each value of a lock is replaced by a hostile one. None of them causes a panic, and nothing is written outside the store.
#[test]
fn hostile_values_in_a_lock_never_end_in_a_panic() {
    let project = Project::new("");
    let tar = Tar::new().program("bin/x", b"x").file("share/y", b"y").finish();
    let path = project.scratch.write("a.tar", tar);
    project.manifest(&format!(
        "platforms = [\"x86_64-linux\"]\n{TOOL}url = \"file://{}\"\nprune = [\"share/**\"]\nself_exe = [\"bin/y\"]\nbin = {{ z = \"bin/x\" }}\n",
        path.display()
    ));
    project.ok(&["setup"]);
    let good = project.lock_text();
    let hostile = [
        "",
        "/",
        "..",
        "../../x",
        "a/../b",
        "a/b",
        "\\u0000",
        "a\\u0000=bin/x",
        "=",
        "=bin/x",
        "\\u001b[2J",
        "\u{e9}",
        "+1",
        "-1",
        "{",
        "mirror://x/y",
        "file:///",
        "http://",
        "99999999999999999999",
        "[",
        "**/**",
        "sha256-",
        "cc",
        "python",
        "packages",
    ];
    let numbers = ["0", "-1", "9223372036854775807"];
    let mut tried = 0;
    let mut attempt = |from: std::ops::Range<usize>, to: &str| {
        let text = format!("{}{to}{}", &good[..from.start], &good[from.end..]);
        project.scratch.write("project/toolchains.lock", &text);
        for args in [&["setup", "--frozen", "--offline"][..], &["list"], &["lock", "--check"]] {
            let output = project.cotter(args).output().unwrap();
            let said = crate::support::text(&output);
            assert!(!said.contains("panicked"), "{args:?}: {said}\n{text}");
            let code = output.status.code();
            assert!(code.is_some_and(|c| c <= 8), "{args:?}: {code:?} {said}\n{text}");
            assert!(!said.contains('\x1b'), "{args:?} prints an escape of the lock's: {said:?}");
        }
        tried += 1;
    };
    // Replace every string and every number.
    let mut at = 0;
    while let Some(open) = good[at..].find('"').map(|i| at + i + 1) {
        let close = open + good[open..].find('"').unwrap();
        for value in hostile {
            attempt(open..close, value);
        }
        at = close + 1;
    }
    for (start, _) in good.match_indices(" = ").map(|(i, m)| (i + m.len(), m)) {
        let digits = good[start..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            for value in numbers {
                attempt(start..start + digits, value);
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert_eq!(
        crate::support::names(project.scratch.path()),
        ["a.tar", "project", "store"],
        "something was written outside"
    );
}

/// The words of an error are for people. Code that reads them to decide something would break when they change, so causes are types.
#[test]
fn nothing_hangs_on_the_words_of_a_message() {
    fn walk(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut files = vec![];
    walk(&Path::new(REPO).join("src"), &mut files);
    // Errors are defined and printed in these files. The TOML parser has errors of its own, which `Problems` explains.
    let allowed = ["src/error.rs", "src/app.rs", "src/manifest/problems.rs"];
    let mut seen = 0;
    let all: Vec<(String, String)> = files
        .iter()
        // These are tests of their directory, as `tests` in a file is.
        .filter(|file| !file.ends_with("tests.rs"))
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap().to_owned();
            (file.strip_prefix(REPO).unwrap().display().to_string(), shipped)
        })
        .collect();
    for (name, shipped) in &all {
        seen += shipped.matches(".reason()").count();
        if allowed.contains(&name.as_str()) {
            continue;
        }
        for word in [
            ".message()",
            ".causes()",
            ".hints()",
            "to_string().contains(",
            "to_string().starts_with(",
        ] {
            assert!(
                !shipped.contains(word),
                "{name} reads {word}: ask `reason()`, `kind()` or `is_about()`"
            );
        }
    }
    assert!(seen > 3, "nobody asks for a cause: does this test look in the right place?");
    // One place converts errors to exit codes. An interruption that cannot wait ends the process itself.
    let exits = ["src/error.rs", "src/app.rs", "src/interrupt.rs"];
    for (name, shipped) in &all {
        assert!(exits.contains(&name.as_str()) || !shipped.contains(".exit_code()"), "{name}");
    }
}

/// `env` prints what a lock says for a shell, so the lock is held to the rules of the manifest.
#[test]
fn the_variables_of_a_lock_are_checked_as_those_of_a_manifest() {
    let text =
        std::fs::read_to_string(Path::new(REPO).join("examples/python/toolchains.lock")).unwrap();
    let spec = "spec = { ";
    assert!(text.contains(spec), "{text}");
    for (env, said) in [
        ("\"A=1;touch x;B\" = \"y\"", "expected the name of a variable"),
        ("PATH = \"evil\"", "`env` can't set PATH"),
        ("LD_PRELOAD = \"x.so\"", "`env` can't set LD_PRELOAD"),
        ("COTTER_STORE = \"x\"", "`env` can't set COTTER_STORE"),
        ("A = \"1\\nexport B=2\"", "control characters"),
    ] {
        let edited = text.replacen(spec, &format!("{spec}env = {{ {env} }}, "), 1);
        let error = cotter::internals::Lockfile::parse(&edited, "toolchains.lock").unwrap_err();
        contains(&format!("{error:?}"), &[said]);
    }
}

#[test]
fn too_little_memory_for_builds_is_refused_with_the_least() {
    let project = Project::new("");
    for (value, said) in [
        ("0", "expected 128 MiB or more, got 0 MiB"),
        ("127.5", "expected 128 MiB or more, got 127.5 MiB"),
        ("-1", "COTTER_BUILD_MEMORY is no number: \"-1\""),
    ] {
        let mut command = project.cotter(&["lock"]);
        contains(
            &fails(1, command.env("COTTER_BUILD_MEMORY", value)),
            &[said, "COTTER_BUILD_MEMORY"],
        );
    }
}

#[test]
fn a_login_in_a_url_does_not_reach_the_lock() {
    let archive = |url: &str| {
        format!("[toolchains.t]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\n{url}\n")
    };
    for (url, line) in [
        ("url = \"https://user:secret@host.example/x.tgz\"", "5:7"),
        ("urls = [\"https://a.example/x\", \"https://secret@host.example/x.tgz\"]", "5:32"),
        ("[toolchains.t.platform.x86_64-linux]\nurl = \"http://u:secret@host.example/x\"", "6:7"),
    ] {
        let project = Project::new(&archive(url));
        let said = project.fails(1, &["lock"]);
        contains(
            &said,
            &[
                &format!(
                    "toolchains.toml:{line}: expected a URL without a user name and a password"
                ),
                "host.example/x",
                "~/.netrc",
            ],
        );
        assert!(!said.contains("secret"), "{said}");
    }
}
