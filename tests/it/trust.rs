//! What a project brings beyond the known sources is accepted once, before anything of it is
//! fetched or run.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::{Project, contains, fails, names, ok};

const HEAD: &str = "platforms = [\"x86_64-linux\"]\n";

/// Returns the program as a user starts it, who has accepted nothing.
fn cotter(project: &Project, args: &[&str]) -> Command {
    let mut command = project.cotter(args);
    command.env_remove("COTTER_TRUST");
    command
}

/// Returns the table of a tool that is an archive on a server.
fn tool(server: &Server, name: &str, version: &str) -> String {
    let tar = Tar::new().program(&format!("bin/{name}"), version.as_bytes()).finish();
    server.put(&format!("/{name}-{version}.tar"), tar);
    format!(
        "[toolchains.{name}]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"{version}\"\nurl = \"{}/{name}-{{version}}.tar\"\n",
        server.url
    )
}

fn rig() -> (Server, Project) {
    let server = Server::start();
    let project = Project::new(&format!("{HEAD}{}", tool(&server, "a", "1")));
    (server, project)
}

/// The hint of every verb that needs an answer.
const HINTS: &[&str] = &["run `cotter trust`", "COTTER_TRUST=1", "--trust"];

#[test]
fn nothing_is_fetched_before_it_is_trusted() {
    let (server, project) = rig();
    let item = format!("files from {} for the toolchain a", server.url);
    let verbs: &[&[&str]] = &[
        &["lock"],
        &["lock", "--upgrade"],
        &["setup"],
        &["setup", "--json"],
        &["exec", "--", "a"],
        &["exec", "a", "--", "a"],
        &["shell"],
        &["venv"],
        &["audit", "tree"],
    ];
    let refused = |verbs: &[&[&str]]| {
        for args in verbs {
            server.clear_log();
            let said = fails(1, &mut cotter(&project, args));
            let told = format!(
                "the project {} brings what nobody accepted on this machine",
                project.dir().display()
            );
            contains(&said, &[&told, &item]);
            contains(&said, HINTS);
            assert_eq!(server.log(), Vec::<String>::new(), "{args:?}");
            assert_eq!(project.stored("store"), Vec::<String>::new(), "{args:?}");
            assert_eq!(project.stored("roots"), Vec::<String>::new(), "{args:?}");
        }
    };
    refused(verbs);
    assert_eq!(names(&project.dir()), ["toolchains.toml"]);
    // The same holds for a lock that somebody else wrote.
    ok(cotter(&project, &["lock", "--trust"]).env("COTTER_STORE", project.scratch.join("other")));
    refused(&verbs[1..]);
    refused(&[&["setup", "--frozen"], &["setup", "--locked"], &["exec", "--frozen", "--", "a"]]);
    // Verbs that only look need no trust.
    for args in [&["list"][..], &["lock", "--check"], &["trust", "--list"], &["verify"], &["gc"]] {
        ok(&mut cotter(&project, args));
    }
    contains(&fails(1, &mut cotter(&project, &["path", "a"])), &["is not set up"]);

    // Without a home, nothing can be recorded, and the list is the same.
    let mut homeless = cotter(&project, &["setup"]);
    contains(&fails(1, homeless.env_remove("HOME")), &[&item]);
    let mut homeless = cotter(&project, &["trust"]);
    contains(&fails(1, homeless.env_remove("HOME")), &["HOME is not set", "--trust"]);

    // It is accepted once.
    let listed = ok(&mut cotter(&project, &["trust", "--list"]));
    assert_eq!(listed, format!("new      toolchains.toml:6: {item}\n"));
    assert!(!project.scratch.join(".local/state").exists(), "--list recorded something");
    assert!(ok(&mut cotter(&project, &["trust"])).starts_with("trusted  "));
    let records = project.scratch.join(".local/state/cotter/trust");
    let record = records.join(&names(&records)[0]);
    assert_eq!(names(&records).len(), 1);
    assert_eq!(std::fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
    ok(&mut cotter(&project, &["setup"]));
    ok(&mut cotter(&project, &["exec", "--", "/bin/true"]));
}

#[test]
fn only_what_is_new_is_asked() {
    let (server, project) = rig();
    ok(&mut cotter(&project, &["trust"]));
    ok(&mut cotter(&project, &["setup"]));
    // Another version from the same host.
    project.manifest(&format!("{HEAD}{}", tool(&server, "a", "2")));
    ok(&mut cotter(&project, &["setup"]));
    // Another toolchain, and another host.
    let second = Server::start();
    let more = format!("{HEAD}{}{}", tool(&server, "a", "2"), tool(&second, "b", "1"));
    project.manifest(&more);
    let said = fails(1, &mut cotter(&project, &["setup"]));
    contains(&said, &[&format!("files from {} for the toolchain b", second.url)]);
    assert!(!said.contains("toolchain a"), "{said}");
    assert_eq!(second.log(), Vec::<String>::new());
    let json = ok(&mut cotter(&project, &["trust", "--list", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let of = |at: usize| {
        (json["items"][at]["trusted"].as_bool(), json["items"][at]["place"]["line"].as_u64())
    };
    assert_eq!((of(0), of(1)), ((Some(true), Some(6)), (Some(false), Some(11))), "{json}");
    // For one run, without a record.
    for (flags, value) in [(&["setup", "--trust"][..], None), (&["setup"], Some("1"))] {
        let mut command = cotter(&project, flags);
        if let Some(value) = value {
            command.env("COTTER_TRUST", value);
        }
        ok(&mut command);
        std::fs::remove_dir_all(project.store.join("roots")).unwrap();
        fails(1, &mut cotter(&project, &["setup"]));
    }
    fails(1, cotter(&project, &["setup"]).env("COTTER_TRUST", "0"));
    // Another directory is another project.
    let elsewhere = project.scratch.write("elsewhere/toolchains.toml", &more);
    let mut command = cotter(&project, &["setup"]);
    fails(1, command.current_dir(elsewhere.parent().unwrap()));
    // What was accepted can be forgotten.
    ok(&mut cotter(&project, &["trust"]));
    ok(&mut cotter(&project, &["setup"]));
    ok(&mut cotter(&project, &["trust", "--revoke"]));
    contains(
        &fails(1, &mut cotter(&project, &["lock", "--upgrade"])),
        &["toolchain a", "toolchain b"],
    );
    // A record that others may write, or of another user's project, counts for nothing.
    ok(&mut cotter(&project, &["trust"]));
    let records = project.scratch.join(".local/state/cotter/trust");
    let record = records.join(&names(&records)[0]);
    ok(&mut cotter(&project, &["lock", "--upgrade"]));
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o666)).unwrap();
    fails(1, &mut cotter(&project, &["lock", "--upgrade"]));
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("/project\"", "/other\"")).unwrap();
    fails(1, &mut cotter(&project, &["lock", "--upgrade"]));
}

/// The lock of a repository may name another host than its manifest.
#[test]
fn the_hosts_of_a_lock_are_asked_for_too() {
    let (server, project) = rig();
    ok(&mut cotter(&project, &["trust"]));
    ok(&mut cotter(&project, &["lock"]));
    let other = Server::start();
    let text = project.lock_text();
    project.scratch.write(
        "project/toolchains.lock",
        text.replace(&format!("url = \"{}", server.url), &format!("url = \"{}", other.url)),
    );
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
    for args in [&["setup"][..], &["setup", "--frozen"], &["exec", "--", "a"]] {
        let said = fails(1, &mut cotter(&project, args));
        contains(&said, &[&format!("files from {} for the toolchain a", other.url)]);
    }
    assert_eq!(other.log(), Vec::<String>::new());
}

#[test]
fn a_terminal_is_asked() {
    let (server, project) = rig();
    let run = |answer: &str| {
        let inner = cotter(&project, &[]);
        let line = format!("{} setup; echo ended $?", env!("CARGO_BIN_EXE_cotter"));
        // script(1) gives the program a terminal, whose input is the answer.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!(
                "{{ sleep 1; printf '{answer}\\n'; sleep 1; }} | script -qec '{line}' /dev/null"
            ),
        ]);
        command.env_clear().envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))));
        ok(command.env("COTTER_NO_PROGRESS", "1").current_dir(project.dir()))
    };
    let said = run("n");
    contains(
        &said,
        &[&format!("files from {}", server.url), "[y/N]", "run `cotter trust`", "ended 1"],
    );
    assert_eq!(server.log(), Vec::<String>::new());
    let said = run("y");
    contains(&said, &["[y/N]", "ended 0"]);
    let said = run("");
    assert!(!said.contains("[y/N]") && said.contains("ended 0"), "{said}");
    ok(&mut cotter(&project, &["lock", "--upgrade"]));
}

#[test]
fn everything_that_a_project_brings_is_listed() {
    let project = Project::new(
        "platforms = [\"x86_64-linux\"]\n[mirrors]\ndebian = [\"https://u:secret@mirror.example/debian\"]\npython = [\"https://index.example/simple\"]\n[settings]\nkeyring = \"keys.asc\"\n\
         [toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n\
         [toolchains.uv]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"https://uv.example/uv.tar\"\n\
         [toolchains.vendor]\nkind = \"tool\"\nsource = \"debian\"\npackages = [\"some\"]\nsuite = { suite = \"stable\", urls = [\"https://apt.example/x\"], key = \"vendor.asc\" }\n\
         [requirements.app]\ninputs = [\"requirements.in\", \"pyproject.toml\"]\nbuild = [\"Src_Pkg\", \"*\"]\n",
    );
    project.scratch.write("project/keys.asc", "keys");
    project.scratch.write("project/requirements.in", "-r more.in\n");
    project.scratch.write("project/pyproject.toml", "[project]\nname = \"p\"\n[tool.uv.sources]\nlib = [{ index = \"own\" }]\n[[tool.uv.index]]\nname = \"own\"\nurl = \"https://own.example/simple\"\n[[tool.uv.index]]\nname = \"idle\"\nurl = \"https://idle.example\"\n");
    project
        .scratch
        .write("project/more.in", "lib\n--extra-index-url https://more.example\u{1b}[2J/simple\n");
    let said = ok(&mut cotter(&project, &["trust", "--list"]));
    contains(
        &said,
        &[
            "new      toolchains.toml:3: files from https://mirror.example, a mirror of debian\n",
            "new      toolchains.toml:4: files from https://index.example, a mirror of python\n",
            &format!(
                "new      toolchains.toml:6: packages signed with the keys in keys.asc (sha256 {}) in place of Debian's\n",
                cotter::internals::Digest::of(b"keys")
            ),
            "toolchains.toml:16: files from https://uv.example for the toolchain uv, which runs while locking\n",
            "toolchains.toml:21: files from https://apt.example for the toolchain vendor\n",
            "toolchains.toml:21: packages signed with the keys in vendor.asc (which can't be read) for the toolchain vendor\n",
            "toolchains.toml:24: code of the package src-pkg, which is built for [requirements.app] in a sandbox\n",
            "toolchains.toml:24: code of every package without a wheel, which is built for [requirements.app]",
            "pyproject.toml:7: answers of https://own.example, a package index, for [requirements.app]\n",
            "more.in:2: answers of https://more.example\\u{1b}[2J, a package index, for [requirements.app]\n",
        ],
    );
    assert_eq!(said.lines().count(), 10, "{said}");
    assert!(!said.contains("secret") && !said.contains('\u{1b}'), "{said}");
    // Other keys are another item.
    ok(&mut cotter(&project, &["trust"]));
    assert!(!ok(&mut cotter(&project, &["trust", "--list"])).contains("new "));
    project.scratch.write("project/vendor.asc", "other");
    contains(
        &ok(&mut cotter(&project, &["trust", "--list"])),
        &["new      toolchains.toml:21: packages signed with the keys in vendor.asc (sha256"],
    );
    // Mirrors that nobody accepted are not asked by doctor either.
    let said = crate::support::text(
        &cotter(&project, &["doctor"]).env("COTTER_APT_ETC", "/nowhere").output().unwrap(),
    );
    assert!(!said.contains("mirror.example"), "{said}");
}

/// While locking, the uv and the interpreter of a set run. Nothing says that what has these names is what
/// they say.
#[test]
fn what_runs_while_locking_is_what_it_is_taken_for() {
    let python = "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n";
    let set = "[requirements.app]\ninputs = [\"pip\"]\n";
    let uv = "[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.9.0\"\n";
    let listed = |text: &str| {
        let project = Project::new(&format!("{HEAD}{text}"));
        project.scratch.write("project/pip", "touch PWNED\n");
        let listed = ok(&mut cotter(&project, &["trust", "--list"]));
        if !listed.is_empty() {
            for args in [&["lock"][..], &["setup"]] {
                contains(&fails(1, &mut cotter(&project, args)), HINTS);
            }
        }
        listed
    };
    // What is known needs no answer, and neither does a name of the same program.
    assert_eq!(listed(&format!("{python}{uv}{set}")), "");
    assert_eq!(
        listed(&format!(
            "{python}bin = {{ python = \"usr/bin/python3.11\", idle = \"usr/bin/idle-python3.11\" }}\n"
        )),
        "new      toolchains.toml:7: the command idle, which is usr/bin/idle-python3.11 of the toolchain python\n"
    );
    let bash = "[toolchains.uv]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"bash\"]\n";
    let said = listed(&format!("{python}{bash}bin = {{ uv = \"usr/bin/bash\" }}\n{set}"));
    contains(
        &said,
        &[
            "toolchains.toml:12: the command uv, which is usr/bin/bash of the toolchain uv\n",
            "toolchains.toml:7: the toolchain uv as uv, which runs while locking: bash, uv = usr/bin/bash of the source debian\n",
        ],
    );
    contains(
        &listed(&format!("{python}{uv}package = \"eviluv\"\n{set}")),
        &[
            "toolchains.toml:7: the toolchain uv as uv, which runs while locking: eviluv of the source pypi\n",
        ],
    );
    for more in ["bin = { uv = \"some/uv\" }\n", "suite = \"bookworm\"\npackages = [\"bash\"]\n"] {
        contains(&listed(&format!("{python}{uv}{more}{set}")), &["uv as uv, which runs while"]);
    }
    contains(
        &listed(&format!("{python}bin = {{ python3 = \"bin/bash\" }}\n{uv}{set}")),
        &[
            "toolchains.toml:7: the command python3, which is bin/bash of the toolchain python\n",
            "the toolchain python as an interpreter, which runs while locking: python3 = bin/bash, python3.11",
        ],
    );
    // A command of any toolchain may be what the user names next.
    assert_eq!(
        listed(
            "[toolchains.sh]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"bash\"]\nbin = { git = \"usr/bin/bash\" }\n"
        ),
        "new      toolchains.toml:7: the command git, which is usr/bin/bash of the toolchain sh\n"
    );
}

/// The lock names the files of the programs that run while locking, and a repository brings it.
#[test]
fn the_files_of_a_lock_are_those_of_the_packages_that_run_while_locking() {
    let (server, project) = rig();
    ok(&mut cotter(&project, &["trust"]));
    ok(&mut cotter(&project, &["lock"]));
    let head = "[requirements.app]\npython = [\"py\"]\nuv = \"a\"\ninputs = [\"x\"]\n[toolchains.py]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n";
    project.manifest(&format!(
        "{HEAD}{head}[toolchains.a]\nkind = \"tool\"\nsource = \"pypi\"\npackage = \"uv\"\nversion = \"1\"\n"
    ));
    let url = format!("{}/a-1.tar", server.url);
    for (location, expected) in [
        ("mirror://python/uv/uv-1-py3-none-any.whl", ""),
        (
            "mirror://python/eviluv/uv-1-py3-none-any.whl",
            "new      files of mirror://python/eviluv for the toolchain a, which runs while locking\n",
        ),
        (
            "mirror://debian/pool/a-1.tar",
            "new      files of mirror://debian for the toolchain a, which runs while locking\n",
        ),
    ] {
        let forged = forged(&project.lock_text(), &url, location);
        let clone = project.scratch.write("clone/toolchains.lock", forged);
        let text = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
        project.scratch.write("clone/toolchains.toml", text);
        let mut command = cotter(&project, &["trust", "--list"]);
        assert_eq!(ok(command.current_dir(clone.parent().unwrap())), expected, "{location}");
    }
}

/// A repository may hold symlinks to devices, and an archive of it a pipe.
#[test]
fn what_has_no_end_is_not_read() {
    let project = Project::new(&format!(
        "{HEAD}[settings]\nkeyring = \"keys\"\n[requirements.app]\ninputs = [\"requirements.in\", \"loop.in\"]\n[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.9.0\"\n"
    ));
    let pipe = project.dir().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", project.dir().join("keys")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", project.dir().join("zero.in")).unwrap();
    project.scratch.write("project/requirements.in", "-r zero.in\n-r pipe\n");
    project.scratch.write("project/loop.in", "-r s/../loop.in\n-r t/../loop.in\n-r zero.in\n");
    for name in ["s", "t"] {
        std::fs::create_dir(project.dir().join(name)).unwrap();
    }
    let said = ok(&mut cotter(&project, &["trust", "--list"]));
    contains(&said, &["packages signed with the keys in keys (which can't be read)"]);
    contains(&fails(3, &mut cotter(&project, &["lock", "--check"])), &["no toolchains.lock"]);
    contains(
        &fails(1, &mut cotter(&project, &["lock", "--trust"])),
        &["can't read", "expected a file, got a device or a pipe"],
    );
    // An archive of the project.
    project.manifest(&format!(
        "{HEAD}[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"./pipe\"\n"
    ));
    contains(
        &fails(1, &mut cotter(&project, &["lock", "--trust"])),
        &["expected a file, got a device or a pipe"],
    );
}

#[test]
fn what_init_writes_needs_no_trust() {
    for template in ["full", "cpp", "python", "uv", "tool", "library", "cross", "bazel", "services"]
    {
        let project = Project::new("");
        let dir = project.scratch.join("new");
        std::fs::create_dir(&dir).unwrap();
        ok(cotter(&project, &["init", "--template", template]).current_dir(&dir));
        let said = ok(cotter(&project, &["trust", "--list"]).current_dir(&dir));
        assert_eq!(said, "", "{template}");
    }
}

/// Returns a lock as somebody forges it: its text is edited, and its digests fit.
pub fn forged(lock: &str, from: &str, to: &str) -> String {
    assert!(lock.contains(from), "{from} is not in\n{lock}");
    let text = lock.replace(from, to);
    let mut lock = cotter::internals::Lockfile::parse(&text, "toolchains.lock").unwrap();
    lock.trees.values_mut().for_each(|tree| tree.edited = None);
    lock.render()
}

/// A variable may be code to a shell or to a program, such as `PROMPT_COMMAND`.
#[test]
fn variables_are_accepted_before_anything_gets_them() {
    let (server, project) = rig();
    let plain = format!("{HEAD}{}", tool(&server, "a", "1"));
    let with = |value: &str| {
        format!("{plain}[toolchains.a.env]\nPAGER = \"%R/less\"\nPROMPT_COMMAND = \"{value}\"\n")
    };
    ok(&mut cotter(&project, &["trust"]));
    project.manifest(&with("touch evil"));
    let item = |value: &str| {
        format!("the variable PROMPT_COMMAND={value} for what runs with the toolchain a")
    };
    let listed = ok(&mut cotter(&project, &["trust", "--list"]));
    contains(
        &listed,
        &[
            &format!("new      toolchains.toml:9: {}\n", item("touch evil")),
            "new      toolchains.toml:8: the variable PAGER=%R/less for what runs with the toolchain a\n",
        ],
    );
    for args in [&["setup"][..], &["lock"], &["exec", "--", "/bin/true"], &["shell"]] {
        contains(&fails(1, &mut cotter(&project, args)), &[&item("touch evil"), HINTS[0]]);
    }
    ok(&mut cotter(&project, &["trust"]));
    ok(&mut cotter(&project, &["setup"]));
    contains(&ok(&mut cotter(&project, &["env"])), &["export PROMPT_COMMAND='touch evil'"]);
    // Another value is another variable.
    project.manifest(&with("touch worse"));
    let said = fails(1, &mut cotter(&project, &["setup"]));
    contains(&said, &[&item("touch worse")]);
    assert!(!said.contains("PAGER"), "{said}");
    let long = "x".repeat(300);
    project.manifest(&with(&long));
    let digest = cotter::internals::Digest::of(long.as_bytes()).hex();
    contains(
        &fails(1, &mut cotter(&project, &["setup"])),
        &[&item(&format!("{}... (sha256 {digest})", &long[..200]))],
    );
    project.manifest(&with("touch worse"));

    // A clone whose lock fits, and whose trees another project has made, is set up without `setup`.
    ok(&mut cotter(&project, &["setup", "--trust"]));
    let clone = project.scratch.write("clone/toolchains.toml", with("touch worse"));
    let clone = clone.parent().unwrap();
    project.scratch.write("clone/toolchains.lock", project.lock_text());
    ok(cotter(&project, &["path", "a"]).current_dir(clone));
    for args in [&["env"][..], &["env", "--json"], &["env", "--direnv"], &["env", "--frozen"]] {
        let mut command = cotter(&project, args);
        let output = command.current_dir(clone).output().unwrap();
        let said = crate::support::text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        contains(&said, &[&item("touch worse"), HINTS[0]]);
        assert!(!said.contains("export PROMPT"), "{said}");
    }
    let said = ok(cotter(&project, &["env", "--trust"]).current_dir(clone));
    contains(&said, &["export PROMPT_COMMAND='touch worse'"]);
    ok(cotter(&project, &["trust"]).current_dir(clone));
    ok(cotter(&project, &["env"]).current_dir(clone));

    // A lock that says otherwise than its manifest does not fit it, whatever its digests say.
    project.scratch.write("clone/toolchains.toml", &plain);
    let fingerprint = "env = [\"PAGER=%R/less\", \"PROMPT_COMMAND=touch worse\"]\n";
    let forged = forged(&project.lock_text(), fingerprint, "");
    project.scratch.write("clone/toolchains.lock", &forged);
    for args in [&["env"][..], &["setup", "--locked"], &["lock", "--check"]] {
        let said = fails(3, cotter(&project, args).current_dir(clone));
        contains(&said, &["[tree.spec] env: removed PAGER=%R/less, PROMPT_COMMAND=touch worse"]);
    }
    ok(cotter(&project, &["setup"]).current_dir(clone));
    let said = ok(cotter(&project, &["env"]).current_dir(clone));
    assert!(!said.contains("PROMPT"), "{said}");
    // With --frozen, the lock alone counts, and what it brings is asked for.
    let again = self::forged(&forged, "touch worse", "touch frozen");
    project.scratch.write("clone/toolchains.lock", again);
    for args in [&["setup", "--frozen"][..], &["env", "--frozen"]] {
        let said = fails(1, cotter(&project, args).current_dir(clone));
        contains(&said, &[&item("touch frozen")]);
    }
}
