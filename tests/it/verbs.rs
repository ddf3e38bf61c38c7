//! The verbs that change the manifest, and those that tell what it, the lock and the indexes contain, on an archive that the test makes.

use std::process::Command;

use cotter::internals::Lockfile;
use serde_json::Value;

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::Server;
use crate::support::{Project, REPO, clean, contains, fails, names, ok};

/// A program that runs wherever it lies: the committed guard, which prints this text and exits with 126.
fn program(text: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(format!("{REPO}/launcher/guard-x86_64")).unwrap();
    let magic = b"cotter-guard--1\0";
    let at = bytes.windows(magic.len()).position(|w| w == magic).unwrap() + magic.len();
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// An archive with some packages, and a project that pins nothing yet.
struct Rig {
    server: Server,
    signer: Signer,
    project: Project,
}

impl Rig {
    fn new() -> Self {
        let (server, signer) = (Server::start(), Signer::new());
        let project = Project::new("");
        project.scratch.write("project/keys.asc", signer.public());
        let rig = Rig { server, signer, project };
        rig.publish("1.0-1");
        rig.project.manifest(&rig.head());
        rig
    }

    /// Publishes the archive with a version of `libapp`.
    fn publish(&self, libapp: &str) {
        let mut archive = Archive::default();
        let tool = |name: &str| {
            Tar::new().program(&format!("./usr/bin/{name}"), &program(&format!("{name}\n")))
        };
        archive.package("app", "1.0", "Depends: libapp (>= 1), data | nothing\n", tool("app"));
        let data = Tar::new().file("./usr/share/libapp/text", libapp.as_bytes());
        archive.package("libapp", libapp, "Depends: common\n", data);
        archive.package("data", "5", "", Tar::new().file("./usr/share/data/text", b"data"));
        archive.package("common", "7", "", Tar::new().file("./usr/share/common/text", b"common"));
        archive.package("app-extra", "2", "Depends: app, common\n", tool("extra"));
        archive.publish(&self.server, &self.signer);
    }

    /// The manifest without toolchains.
    fn head(&self) -> String {
        let url = &self.server.url;
        format!(
            "# The tools of the project.\nplatforms = [ 'x86_64-linux' ] # only this\n\n[mirrors]\ndebian = [\"{url}/debian\"]\n\n[settings]\nkeyring = \"keys.asc\"\n\n# The end.\n"
        )
    }

    fn manifest_text(&self) -> String {
        std::fs::read_to_string(self.project.dir().join("toolchains.toml")).unwrap()
    }

    fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        clean(&mut command, self.project.scratch.path());
        let who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"];
        ok(command.args(who).args(args).current_dir(self.project.dir()));
    }
}

/// A project that pins nothing, in which the package `app` of the suite `test` can be added without a network.
pub fn project() -> Project {
    let rig = Rig::new();
    let mirror = rig.project.scratch.join("mirror");
    rig.server.write_to(&mirror);
    let url = format!("file://{}", mirror.display());
    rig.project.manifest(&rig.head().replace(&rig.server.url, &url));
    rig.project
}

#[test]
fn add_edits_locks_and_sets_up() {
    let rig = Rig::new();
    let said = rig.project.ok(&["add", "app", "--suite", "test"]);
    contains(&said, &["+ app 1.0 for x86_64-linux: 4 packages", "1 tree added"]);
    let table = "\n[toolchains.app]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"app\"]\n";
    let (before, end) = (rig.head(), "\n# The end.\n");
    let before = before.strip_suffix(end).unwrap();
    assert_eq!(rig.manifest_text(), format!("{before}{table}{end}"));
    rig.project.ok(&["lock", "--check"]);
    assert!(rig.project.tree().join("bin/app").exists());

    // To ask for it once more changes nothing, and sets it up if it is not there.
    let text = rig.manifest_text();
    let said = rig.project.cotter(&["add", "app"]).output().unwrap();
    contains(
        &String::from_utf8_lossy(&said.stderr),
        &["toolchains.toml:10:", "app is there already"],
    );
    assert_eq!((said.status.code(), rig.manifest_text()), (Some(0), text));

    // The next one has the suites of the first, and several packages.
    let args = ["add", "app-extra=2", "--package", "data", "--name", "extra", "--kind", "library"];
    rig.project.ok(&[&args[..], &["--no-setup"]].concat());
    contains(
        &rig.manifest_text(),
        &[
            "[toolchains.extra]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"app-extra=2\", \"data\"]\n",
        ],
    );
    rig.project.ok(&["lock", "--check"]);
    assert_eq!(rig.project.stored("store").len(), 2, "a tree is made while it is locked");
}

#[test]
fn what_cannot_be_locked_is_not_added() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "--suite", "test", "--no-setup"]);
    let (manifest, lock) = (rig.manifest_text(), rig.project.lock_text());
    let said = rig.project.fails(1, &["add", "dta"]);
    contains(&said, &["no package \"dta\"", "did you mean data", "are as they were"]);
    let said = rig.project.fails(1, &["add", "app-extra", "--name", "app"]);
    contains(&said, &["app is in toolchains.toml already", "toolchains.toml:10:", "--name NAME"]);
    contains(&rig.project.fails(1, &["add", "0ad"]), &["--name NAME"]);
    contains(
        &rig.project.fails(2, &["add", "data", "common", "--name", "x"]),
        &["--name is for one"],
    );
    contains(&rig.project.fails(1, &["--locked", "add", "data"]), &["--locked does not let"]);
    contains(
        &rig.project.fails(1, &["add", "Not A Package", "--name", "x"]),
        &["expected the name"],
    );
    rig.server
        .fault("/debian/pool/main/app-extra_2_amd64.deb", crate::support::server::Fault::Corrupt);
    rig.project.fails(4, &["add", "app-extra"]);
    assert_eq!((rig.manifest_text(), rig.project.lock_text()), (manifest, lock));
    assert_eq!(names(&rig.project.dir()), ["keys.asc", "toolchains.lock", "toolchains.toml"]);
    // A link is not replaced by a file.
    std::fs::rename(rig.project.dir().join("toolchains.toml"), rig.project.dir().join("real.toml"))
        .unwrap();
    std::os::unix::fs::symlink("real.toml", rig.project.dir().join("toolchains.toml")).unwrap();
    contains(&rig.project.fails(1, &["add", "common"]), &["is a symlink to real.toml"]);
}

#[test]
fn remove_takes_away_what_nobody_uses() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "data", "--suite", "test", "--no-setup"]);
    let text = rig.manifest_text().replace(
        "# The end.\n",
        "# For Bazel.\n[emit.bazel]\ntoolchains = [\"data\",\n  \"app\"]\n",
    );
    rig.project.manifest(&text);
    let said = rig.project.fails(1, &["remove", "app"]);
    contains(
        &said,
        &["app is in use", "toolchains.toml:25:3: `toolchains` of [emit.bazel] names it"],
    );
    contains(&rig.project.fails(1, &["remove", "ap"]), &["there is no toolchain \"ap\"", "app"]);
    assert_eq!(rig.manifest_text(), text);
    rig.project.manifest(&text.replace(",\n  \"app\"", ""));
    let said = rig.project.ok(&["remove", "app", "--no-setup"]);
    contains(&said, &["- app 1.0 for x86_64-linux", "1 tree removed"]);
    assert!(!rig.manifest_text().contains("[toolchains.app]"));
    rig.project.ok(&["lock", "--check"]);
    // The last one may go, too.
    rig.project.manifest(&rig.manifest_text().replace("toolchains = [\"data\"]\n", ""));
    rig.project.ok(&["remove", "data"]);
    contains(&rig.project.fails(1, &["lock"]), &["pins nothing"]);
}

#[test]
fn a_change_of_the_lock_is_told_before_and_after() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "app-extra", "--suite", "test", "--no-setup"]);
    rig.git(&["init", "-q"]);
    rig.git(&["add", "toolchains.toml"]);
    rig.git(&["commit", "-q", "-m", "without"]);
    let said = rig.project.cotter(&["diff"]).output().unwrap();
    contains(&String::from_utf8_lossy(&said.stderr), &["HEAD has no toolchains.lock"]);
    contains(
        &String::from_utf8_lossy(&said.stdout),
        &["+ app 1.0 for", "+ app-extra 2 for", "2 trees added"],
    );
    rig.git(&["add", "toolchains.lock"]);
    rig.git(&["commit", "-q", "-m", "with"]);
    assert_eq!(rig.project.ok(&["diff"]), "nothing changes\n");
    let lock = rig.project.lock_text();
    // Locking anew would not mend an old lock.
    rig.project.scratch.write("project/old.lock", &lock[..lock.len() / 2]);
    let said = rig.project.fails(3, &["diff", "old.lock"]);
    contains(&said, &["old.lock", "hint: name another file, or a revision: `cotter diff HEAD~1`"]);
    assert!(!said.contains("--fresh"), "{said}");
    // A variable without a value is none.
    let mut empty = rig.project.cotter(&["lock", "--check"]);
    for name in ["COTTER_JOBS", "COTTER_MANIFEST", "COTTER_COLOR", "COTTER_QUIET"] {
        empty.env(name, "");
    }
    ok(&mut empty);
    contains(&rig.project.ok(&["outdated", "--json"]), &["\"packages\": []"]);

    rig.publish("1.0-2");
    let outdated = rig.project.ok(&["outdated"]);
    contains(&outdated, &["libapp", "1.0-1", "1.0-2", "app, app-extra"]);
    assert_eq!(outdated.lines().count(), 2, "{outdated}");
    let dry = rig.project.ok(&["lock", "--upgrade", "--dry-run"]);
    assert_eq!(rig.project.lock_text(), lock);
    rig.project.ok(&["lock", "--upgrade"]);
    let text = rig.project.ok(&["diff"]);
    assert_eq!(text, dry);
    contains(
        &text,
        &[
            "~ app 1.0 for x86_64-linux: 1 package changed, ",
            "~ app-extra 2 for x86_64-linux: 1 package changed, ",
            "  ~ libapp 1.0-1 -> 1.0-2 (",
            "): app, app-extra\n",
            "2 trees made anew, 1 change of packages\n",
        ],
    );
    contains(
        &rig.project.ok(&["diff", "--markdown"]),
        &["| `app` | `x86_64-linux` | made anew | `1.0` |", "| `libapp` | `1.0-1 -> 1.0-2` |"],
    );
    let page = rig.project.ok(&["diff", "HEAD", "--html"]);
    contains(&page, &["<td>1.0-1 -&gt; 1.0-2</td>"]);
    let json: Value = serde_json::from_str(&rig.project.ok(&["diff", "--json"])).unwrap();
    let tree = &json["trees"][0];
    assert_eq!((&tree["name"], &tree["change"]), (&"app".into(), &"made-anew".into()));
    assert_eq!(tree["packages"][0]["old"]["version"], "1.0-1");
    assert_eq!(tree["packages"].as_array().unwrap().len(), 1);

    rig.project.scratch.write("project/old.lock", &lock);
    assert_eq!(rig.project.ok(&["diff", "old.lock"]), text);
    // A file of the repository does not take the place of a revision.
    for name in ["HEAD", "main"] {
        rig.git(&["branch", "-f", "main"]);
        rig.project.scratch.write(&format!("project/{name}"), rig.project.lock_text());
        let said = rig.project.cotter(&["diff", name]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), text);
        contains(
            &String::from_utf8_lossy(&said.stderr),
            &[&format!("{name} is a revision and a file"), &format!("`cotter diff ./{name}`")],
        );
        assert_eq!(rig.project.ok(&["diff", &format!("./{name}")]), "nothing changes\n");
        std::fs::remove_file(rig.project.dir().join(name)).unwrap();
    }
    rig.project.scratch.write("project/plain", &lock);
    assert_eq!(rig.project.ok(&["diff", "plain"]), text);
    let said = rig.project.fails(1, &["diff", "no-such-branch"]);
    contains(&said, &["\"no-such-branch\" is neither a file nor a revision of git"]);
    let said = fails(1, rig.project.cotter(&["diff"]).env("PATH", "/nowhere"));
    contains(&said, &["can't start git", "cotter diff OLD.lock"]);
}

#[test]
fn why_and_tree_lead_to_the_line_of_the_manifest() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app-extra", "--package", "data", "--suite", "test", "--no-setup"]);
    let text = rig.project.ok(&["tree"]);
    assert_eq!(
        text,
        "app-extra 2 for x86_64-linux\n  app-extra 2 (toolchains.toml:14:13, `packages` of [toolchains.app-extra])\n  ├── app 1.0\n  │   ├── data 5\n  │   └── libapp 1.0-1\n  │       └── common 7\n  └── common 7\n  data 5 (toolchains.toml:14:26, `packages` of [toolchains.app-extra])\n"
    );
    assert_eq!(
        rig.project.ok(&["why", "data"]),
        "data 5 in app-extra for x86_64-linux\n  toolchains.toml:14:26, `packages` of [toolchains.app-extra]: data\n  toolchains.toml:14:13, `packages` of [toolchains.app-extra]: app-extra -> app -> data\n"
    );
    contains(
        &rig.project.ok(&["why", "libapp", "--in", "app-extra"]),
        &["app-extra -> app -> libapp\n"],
    );
    contains(&rig.project.fails(1, &["why", "libap"]), &["no toolchain contains", "libapp"]);
    contains(&rig.project.fails(1, &["tree", "ap"]), &["there is no toolchain"]);

    // A lock that an older cotter wrote.
    let mut lock = Lockfile::parse(&rig.project.lock_text(), "lock").unwrap();
    for tree in lock.trees.values_mut() {
        tree.plan.inputs.iter_mut().for_each(|input| input.requires.clear());
    }
    rig.project.scratch.write("project/toolchains.lock", lock.render());
    for args in [&["tree"][..], &["why", "common"]] {
        let said = rig.project.cotter(args).output().unwrap();
        assert!(said.status.success());
        contains(
            &String::from_utf8_lossy(&said.stderr),
            &["the lock does not record", "`cotter lock --upgrade app-extra` records it"],
        );
    }
    rig.project.ok(&["lock", "--upgrade", "app-extra"]);
    assert_eq!(rig.project.ok(&["tree"]), text);
    rig.project.manifest(&format!(
        "{}prune = [\"x\"]\n",
        rig.manifest_text().replace("\n# The end.\n", "")
    ));
    rig.project.fails(3, &["tree"]);
}

#[test]
fn which_names_the_tree_that_brings_a_command() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "app-extra", "--suite", "test"]);
    let said = rig.project.cotter(&["which", "extra"]).output().unwrap();
    let path = String::from_utf8(said.stdout).unwrap();
    assert!(path.contains("-app-extra-2-x86_64-linux/bin/extra\n"), "{path}");
    contains(&String::from_utf8_lossy(&said.stderr), &["extra of app-extra 2"]);
    let json: Value =
        serde_json::from_str(&rig.project.ok(&["which", "app", "--all", "--json"])).unwrap();
    let found: Vec<&Value> =
        json["commands"].as_array().unwrap().iter().map(|c| &c["toolchain"]).collect();
    assert_eq!(found[0], "app");
    // What only this machine has is not among them.
    contains(&rig.project.fails(1, &["which", "sh"]), &["no toolchain brings the command \"sh\""]);
    contains(&rig.project.fails(1, &["which", "extr"]), &["did you mean extra (app-extra)?"]);
    contains(&rig.project.fails(1, &["which", "../bin/app"]), &["no toolchain brings"]);
}

#[test]
fn search_finds_packages_by_suite() {
    let rig = Rig::new();
    // The manifest names no suite yet.
    let found = rig.project.ok(&["search", "app", "--suite", "test"]);
    let lines: Vec<Vec<&str>> = found.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1..],
        [
            vec!["app", "1.0", "test", "taken"],
            vec!["app-extra", "2", "test", "taken"],
            vec!["libapp", "1.0-1", "test", "taken"]
        ]
    );
    rig.project.ok(&["add", "data", "--suite", "test", "--no-setup"]);
    let json: Value =
        serde_json::from_str(&rig.project.ok(&["search", "libapp", "--json"])).unwrap();
    assert_eq!(json["packages"][0]["version"], "1.0-1");
    let said = rig.project.fails(1, &["search", "nothing-like-it"]);
    contains(&said, &["no package for x86_64-linux has \"nothing-like-it\"", "looked in test"]);
    // A project of an index, which is a directory of the server.
    let page = r#"<a href="../../tool-1.9.0-py3-none-any.whl">tool-1.9.0-py3-none-any.whl</a>
<a href="../../tool-1.10.0-py3-none-any.whl">tool-1.10.0-py3-none-any.whl</a>
<a href="../../tool-2.0rc1-py3-none-any.whl">tool-2.0rc1-py3-none-any.whl</a>"#;
    rig.server.put("/simple/tool/", page);
    let index = format!("{}/simple", rig.server.url);
    let python = |name| {
        let mut command = rig.project.cotter(&["search", "--python", name]);
        command.env("UV_DEFAULT_INDEX", &index);
        command
    };
    let found = ok(&mut python("Tool"));
    assert_eq!(found.lines().skip(1).collect::<Vec<_>>(), ["tool     1.10.0", "tool     1.9.0"]);
    fails(1, &mut python("tol"));
}

#[test]
fn tasks_run_in_order_in_the_projects_directory() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "--suite", "test"]);
    contains(&rig.project.fails(1, &["run"]), &["has no tasks"]);
    let tasks = "[tasks]\nfirst = \"sh -c 'echo first'\"\nlist = [\"sh\", \"-c\", \"echo $0 $1 $X; pwd\"]\npinned = \"app\"\nboth = { depends-on = [\"first\", \"list\", \"first\"] }\nbroken = { command = \"sh -c 'exit 7'\", depends-on = [\"first\"] }\nafter = { command = \"app\", depends-on = [\"broken\"] }\nhosts = \"make\"\nown = \"./own.sh\"\n[tasks.with]\ncommand = [\"sh\", \"-c\", \"echo $X $*\", \"sh\"]\nenv = { X = \"set\" }\n";
    let manifest = format!("host = [\"sh\"]\n{}{tasks}", rig.manifest_text());
    rig.project.manifest(&manifest);
    let listed = rig.project.ok(&["run"]);
    contains(&listed, &["both", "first, list, first", "sh -c 'echo first'"]);
    let odd = "odd = [\"printf\", \"\\u001b[2J\\u202e\\u2066\"]\n";
    rig.project.manifest(&manifest.replace("pinned =", &format!("{odd}pinned =")));
    contains(&rig.project.ok(&["run"]), &["printf '\\u{1b}[2J\\u{202e}\\u{2066}'"]);
    rig.project.manifest(&manifest);
    rig.project.scratch.write("project/below/x", "");
    let below = |args: &[&str]| {
        let mut command = rig.project.cotter(args);
        command.current_dir(rig.project.dir().join("below"));
        command
    };
    let dir = rig.project.dir();
    let dir = dir.display();
    assert_eq!(ok(&mut below(&["run", "both"])), format!("first\nsh\n{dir}\n"));
    assert_eq!(ok(&mut below(&["run", "with", "-a", "--help"])), "set -a --help\n");
    assert_eq!(rig.project.ok(&["run", "list", "a", "b"]), format!("a b\n{dir}\n"));
    // The pinned program ends with this code.
    let said = rig.project.cotter(&["run", "pinned"]).output().unwrap();
    assert_eq!(said.status.code(), Some(126));
    contains(&String::from_utf8_lossy(&said.stderr), &["app\n"]);
    contains(
        &rig.project.fails(7, &["run", "after"]),
        &["the task broken failed", "toolchains.toml:"],
    );
    contains(&rig.project.fails(127, &["run", "hosts"]), &["\"make\"", "toolchains.toml:"]);
    contains(&rig.project.fails(127, &["run", "own"]), &["own.sh"]);
    contains(&rig.project.fails(2, &["run", "both", "x"]), &["takes no arguments"]);
    contains(&rig.project.fails(1, &["run", "frst"]), &["there is no task \"frst\"", "first"]);
    rig.project
        .manifest(&manifest.replace("first = \"sh", "first.depends-on = \"both\"\nx = \"sh"));
    contains(&rig.project.fails(1, &["run", "x"]), &["depends on itself"]);
}

#[test]
fn downloads_are_measured_and_deleted() {
    let rig = Rig::new();
    rig.project.ok(&["add", "app", "--suite", "test"]);
    let dirs = rig.project.ok(&["cache", "dir"]);
    let dirs: Vec<&str> = dirs.lines().collect();
    assert_eq!(
        dirs,
        [
            rig.project.store.join("inputs").display().to_string(),
            rig.project.store.join("cache/uv").display().to_string(),
            rig.project.store.join("packed").display().to_string()
        ]
    );
    let size = || {
        let json: Value =
            serde_json::from_str(&rig.project.ok(&["cache", "size", "--json"])).unwrap();
        json["directories"][0]["size"].as_u64().unwrap()
            + json["directories"][1]["size"].as_u64().unwrap()
    };
    rig.project.scratch.write("store/cache/uv/wheels/x", "12345");
    let lock = rig.project.scratch.write("store/cache/uv/.lock", "");
    assert!(size() > 500, "{}", size());
    // uv holds this lock while it runs.
    let held = std::fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    contains(&rig.project.ok(&["cache", "clean"]), &["deleted 5 downloads", "a process uses it"]);
    drop(held);
    assert!(size() >= 5);
    contains(&rig.project.ok(&["cache", "clean"]), &["deleted 0 downloads", "of what uv keeps"]);
    assert_eq!(size(), 0);
    rig.project.ok(&["verify", "--deep"]);
    contains(&rig.project.ok(&["self", "version"]), &["cotter 0.1.0", "lock: version 2", "gcc/"]);
    rig.project.ok(&["man", "pages"]);
    let pages = names(&rig.project.dir().join("pages"));
    for page in ["cotter.1", "cotter-add.1", "cotter-audit-tree.1", "cotter-self-version.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
    let page = std::fs::read_to_string(rig.project.dir().join("pages/cotter-add.1")).unwrap();
    contains(&page, &[".TH cotter-add 1", "no\\-setup"]);
}
