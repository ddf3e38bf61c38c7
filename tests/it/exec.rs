//! What `exec`, `shell` and `env` let in of the host: programs by name, guards for the children, variables, start-up files of shells.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::Server;
use crate::support::{Project, REPO, clean, contains, fails, names, ok};

/// A program that runs wherever it lies: the committed guard, with a text of the test's.
fn program(text: &str) -> Vec<u8> {
    let cpu = std::env::consts::ARCH;
    let mut bytes = std::fs::read(format!("{REPO}/launcher/guard-{cpu}")).unwrap();
    let magic = b"cotter-guard--1\0";
    let at = bytes.windows(magic.len()).position(|w| w == magic).unwrap() + magic.len();
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// A project whose tool `py` brings `python3.11` and `plain`, and a host of its own.
struct Rig {
    server: Server,
    project: Project,
    manifest: String,
}

const PINNED: &str = "the pinned python3.11\n";

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        let tar = Tar::new()
            .program("bin/python3.11", &program(PINNED))
            .program("bin/plain", &program("plain\n"))
            .finish();
        let url = server.put("/py.tar", tar);
        let manifest = format!(
            "[toolchains.py]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
        );
        let project = Project::new(&format!("platforms = [\"{}\"]\n{manifest}", platform()));
        project.ok(&["setup"]);
        let rig = Rig { server, project, manifest };
        for name in ["python3.9", "pip", "perl", "make"] {
            rig.on_host(name);
        }
        rig
    }

    /// Writes the manifest with keys at its top.
    fn top(&self, text: &str) {
        self.project.manifest(&format!(
            "platforms = [\"{}\"]\n{text}\n{}",
            platform(),
            self.manifest
        ));
    }

    fn host_dir(&self) -> PathBuf {
        self.project.scratch.join("host/bin")
    }

    fn on_host(&self, name: &str) {
        self.script(&format!("host/bin/{name}"), &format!("#!/bin/sh\necho the host\\'s {name}\n"));
    }

    fn script(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.project.scratch.write(path, text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The program, with the rig's host in front of the machine's own.
    fn cotter(&self, args: &[&str]) -> Command {
        let mut command = self.project.cotter(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.host_dir().display()));
        command
    }

    /// What a child of a command says, on both streams, and its exit code.
    fn child(&self, flags: &[&str], line: &str) -> (String, i32) {
        let args = [&["exec"], flags, &["--", "/bin/sh", "-c", line]].concat();
        let output = self.cotter(&args).output().unwrap();
        (crate::support::text(&output), output.status.code().unwrap())
    }

    fn guards(&self) -> Vec<String> {
        self.project.stored("guards")
    }
}

fn platform() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

#[test]
fn a_command_that_no_tree_brings_is_refused() {
    let rig = Rig::new();
    let make = ["exec", "--", "make"];
    let path = rig.host_dir().join("make").display().to_string();
    contains(
        &fails(127, &mut rig.cotter(&make)),
        &[
            "error: no toolchain brings the command \"make\"",
            &format!("caused by: {path} is this machine's"),
            "hint: the toolchains in use: py",
            "hint: to start this machine's, write host = [\"make\"] at the top of toolchains.toml, or say `cotter exec --host -- make`",
        ],
    );
    contains(
        &fails(127, &mut rig.cotter(&["exec", "--", "python3.9"])),
        &["did you mean python3.11 (py)?"],
    );
    contains(
        &fails(127, &mut rig.cotter(&["exec", "--", "plian"])),
        &["there is no command \"plian\" in the toolchains or on PATH", "did you mean plain (py)?"],
    );
    let said = "the host's make\n";
    assert_eq!(ok(&mut rig.cotter(&["exec", "--host", "--", "make"])), said);
    assert_eq!(ok(&mut rig.cotter(&["exec", "--", &path])), said, "a path is the user's word");
    for host in ["host = [\"perl\", \"make\"]", "host = \"make\"", "host = \"*\""] {
        rig.top(host);
        assert_eq!(ok(&mut rig.cotter(&make)), said, "{host}");
        // The list concerns neither the lock nor another command.
        rig.project.ok(&["lock", "--check"]);
        if !host.contains('*') {
            fails(127, &mut rig.cotter(&["exec", "--", "pip"]));
        }
        contains(
            &fails(127, &mut rig.cotter(&["exec", "--pure", "--", "make"])),
            &["there is no command \"make\" in the toolchains", "leave --pure out"],
        );
    }
    fails(2, &mut rig.cotter(&["exec", "--pure", "--host", "--", "make"]));
}

#[test]
fn the_projects_own_directories_are_not_the_host() {
    let rig = Rig::new();
    rig.script("project/.venv/bin/make", "#!/bin/sh\necho mine\n");
    rig.script("project/.venv/bin/pip", "#!/bin/sh\necho my pip\n");
    let own = rig.project.dir().join(".venv/bin");
    let path = format!("{}:{}:/usr/bin:/bin", own.display(), rig.host_dir().display());
    let with = |command: &mut Command| ok(command.env("PATH", &path));
    assert_eq!(with(&mut rig.cotter(&["exec", "--", "make"])), "mine\n");
    assert_eq!(with(&mut rig.cotter(&["exec", "--", "/bin/sh", "-c", "pip"])), "my pip\n");
}

#[test]
fn guards_keep_relatives_of_what_is_pinned_from_the_children() {
    let rig = Rig::new();
    let (said, code) = rig.child(&[], "python3.9 --version");
    assert_eq!(code, 126, "{said}");
    let dir = rig.project.dir();
    let manifest = dir.join("toolchains.toml");
    let (manifest, host) = (manifest.display(), rig.host_dir());
    assert_eq!(
        said,
        format!(
            "cotter: python3.9 is not in the toolchains; [toolchains.py] ({manifest}:2) pins python3.11\n\
             cotter: to start this machine's {}/python3.9, write host = [\"python3.9\"] at the top of {manifest}, or say `cotter exec --host`\n",
            host.display()
        )
    );
    assert_eq!(rig.child(&[], "pip install x").1, 126);
    // What is pinned, what is no relative of it, and what this machine lacks.
    assert_eq!(rig.child(&[], "python3.11"), (PINNED.to_owned(), 126));
    assert_eq!(rig.child(&[], "perl; make"), ("the host's perl\nthe host's make\n".to_owned(), 0));
    assert_eq!(rig.child(&[], "python3.10").1, 127);
    assert_eq!(rig.child(&[], "command -v python3.8 || echo none"), ("none\n".to_owned(), 0));

    // PATH is read once as long as nothing in it changes.
    assert_eq!(rig.guards().len(), 1);
    rig.on_host("python3.10");
    assert_eq!(rig.child(&[], "python3.10").1, 126, "a program that came later");
    assert_eq!(rig.guards().len(), 2);

    let host_python = ("the host's python3.9\n".to_owned(), 0);
    assert_eq!(rig.child(&["--host"], "python3.9"), host_python);
    rig.top("host = [\"python3.9\"]");
    assert_eq!(rig.child(&[], "python3.9"), host_python);
    assert_eq!(rig.child(&[], "pip").1, 126);
    rig.top("host = [\"*\"]");
    assert_eq!(rig.child(&[], "python3.9"), host_python);
    // Without the host's part of PATH there is nothing to guard.
    assert_eq!(rig.child(&["--pure"], "python3.9").1, 127);
}

#[test]
fn a_session_in_a_session_has_one_set_of_guards() {
    let rig = Rig::new();
    let cotter = env!("CARGO_BIN_EXE_cotter");
    let inner = |flags: &str, line: &str| {
        rig.child(&[], &format!("{cotter} exec {flags} -- /bin/sh -c '{line}'"))
    };
    let (path, _) = inner("", "echo $PATH");
    assert_eq!(path.matches("/guards/").count(), 1, "{path}");
    assert_eq!(path.matches("/bin:").count(), 3, "{path}");
    assert_eq!(inner("", "python3.9").1, 126);
    assert_eq!(inner("--host", "python3.9").0, "the host's python3.9\n");
    let (path, _) = inner("--host", "echo $PATH");
    assert!(!path.contains("/guards/"), "{path}");
}

#[test]
fn guards_of_a_store_that_cannot_be_written_lie_in_the_cache() {
    let rig = Rig::new();
    let cache = rig.project.scratch.join("cache");
    std::fs::create_dir(&cache).unwrap();
    let run = |cache: &Path| {
        let store = rig.project.store.display().to_string();
        let mut command = Command::new("bwrap");
        command.args(["--bind", "/", "/", "--dev", "/dev", "--ro-bind", &store, &store, "--"]);
        command.args([env!("CARGO_BIN_EXE_cotter"), "exec", "--", "/bin/sh", "-c", "python3.9"]);
        clean(&mut command, rig.project.scratch.path());
        command
            .current_dir(rig.project.dir())
            .env("COTTER_STORE", &rig.project.store)
            .env("PATH", format!("{}:/usr/bin:/bin", rig.host_dir().display()))
            .env("XDG_CACHE_HOME", cache)
            .output()
            .unwrap()
    };
    assert_eq!(run(&cache).status.code(), Some(126));
    assert_eq!(names(&cache.join("cotter/guards")).len(), 1);
    let output = run(Path::new("/proc/nowhere"));
    let said = crate::support::text(&output);
    contains(&said, &["the host's python3.9", "warning: no guards keep pip and others"]);
}

#[test]
fn gc_keeps_guards_that_were_used_lately_or_are_in_use() {
    let rig = Rig::new();
    rig.child(&[], "true");
    let dir = rig.project.store.join("guards").join(&rig.guards()[0]);
    rig.project.ok(&["gc"]);
    assert!(dir.exists());
    let age = || ok(Command::new("touch").args(["-d", "40 days ago"]).arg(&dir));
    let mut child = rig.cotter(&["exec", "--", "/bin/sleep", "20"]).spawn().unwrap();
    let comm = format!("/proc/{}/comm", child.id());
    while !std::fs::read_to_string(&comm).is_ok_and(|c| c.trim() == "sleep") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    age();
    rig.project.ok(&["gc"]);
    assert!(dir.exists(), "a process uses them");
    child.kill().unwrap();
    child.wait().unwrap();
    rig.project.ok(&["gc", "--dry-run"]);
    assert!(dir.exists());
    rig.project.ok(&["gc"]);
    assert!(!dir.exists());
}

#[test]
fn pure_tells_programs_what_exists_all_the_same() {
    let rig = Rig::new();
    let below = rig.project.dir().join("below");
    std::fs::create_dir(&below).unwrap();
    let mut command = rig.cotter(&["exec", "--pure", "--", "/usr/bin/env"]);
    command.current_dir(&below).env("TMPDIR", "/opt/tmp").env("PYTHONPATH", "/usr/lib/python3");
    let said = ok(&mut command);
    let dir = rig.project.dir();
    let expected = format!(
        "COTTER_PURE={}:{}:{}:/opt/tmp",
        rig.project.store.display(),
        dir.display(),
        below.display()
    );
    assert!(said.lines().any(|line| line == expected), "{expected} is not in\n{said}");
    assert!(!said.contains("PYTHONPATH"), "{said}");
    // A session in it knows the directories of both, and --host opens it again.
    let said =
        ok(rig.cotter(&["exec", "--pure", "--", "/usr/bin/env"]).env("COTTER_PURE", "/a:/b"));
    contains(&said, &[&format!("COTTER_PURE={}:", rig.project.store.display()), ":/a:/b\n"]);
    let said =
        ok(rig.cotter(&["exec", "--host", "--", "/usr/bin/env"]).env("COTTER_PURE", "/a:/b"));
    assert!(!said.contains("COTTER_PURE"), "{said}");
}

/// What a session sets must not reach one of another project, whatever it is begun in.
#[test]
fn a_session_within_another_one_begins_without_it() {
    let rig = Rig::new();
    rig.top("");
    let own = std::fs::read_to_string(rig.project.dir().join("toolchains.toml")).unwrap();
    rig.project.manifest(&format!(
        "{own}[toolchains.py.env]\nOUTER_LIBRARIES = \"%R/lib\"\nCHOSEN = \"outer\"\nKEPT = \"outer\"\n"
    ));
    rig.project.ok(&["setup"]);
    let other = rig.project.scratch.join("other");
    std::fs::create_dir(&other).unwrap();
    let mine =
        own.replace("[toolchains.py]", "[toolchains.other]").replace("/py.tar", "/other.tar");
    rig.server.put("/other.tar", Tar::new().program("bin/mine", &program("mine\n")).finish());
    std::fs::write(other.join("toolchains.toml"), mine).unwrap();
    let cotter = env!("CARGO_BIN_EXE_cotter");
    let tree = rig.project.tree().display().to_string();
    ok(rig.cotter(&["setup"]).current_dir(&other));
    // CHOSEN was changed by the user since, and KEPT had a value before.
    let inner = |flags: &str| {
        format!("CHOSEN=mine; export CHOSEN; cd ../other; {cotter} exec {flags} -- /usr/bin/env")
    };
    for flags in ["", "--pure"] {
        let within = |command: &str| {
            let mut outer = rig.cotter(&["exec", "--", "/bin/sh", "-c", command]);
            ok(outer.env("KEPT", "before"))
        };
        let evaluated = |command: &str| {
            let script = format!("eval \"$({cotter} env)\"; {command}");
            let as_here = rig.cotter(&[]);
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]).current_dir(rig.project.dir()).env_clear();
            shell.envs(as_here.get_envs().filter_map(|(name, value)| Some((name, value?))));
            ok(shell.env("KEPT", "before"))
        };
        for said in [within(&inner(flags)), evaluated(&inner(flags))] {
            assert!(!said.contains("OUTER_LIBRARIES"), "{flags}: {said}");
            let path = said.lines().find(|line| line.starts_with("PATH=")).unwrap();
            assert!(!path.contains(&tree), "{flags}: {path}");
            contains(&said, &["CHOSEN=mine\n", "KEPT=before\n"]);
        }
        let within = format!("cd ../other; {cotter} exec {flags} -- plain");
        let mut outer = rig.cotter(&["exec", "--", "/bin/sh", "-c", &within]);
        contains(&fails(127, &mut outer), &["no command \"plain\""]);
    }
    // What the user put there stays.
    let mut chosen = rig.cotter(&["exec", "--", "plain"]);
    let path = format!("{tree}/bin:/usr/bin:/bin");
    contains(&fails(126, chosen.current_dir(&other).env("PATH", path)), &["plain"]);
}

#[test]
fn programs_get_a_utf8_locale_unless_the_user_chose_one() {
    let rig = Rig::new();
    let mut command = rig.cotter(&["exec", "--", "/usr/bin/env"]);
    command.env_remove("LANG").env_remove("LC_ALL").env_remove("LC_CTYPE");
    contains(&ok(&mut command), &["LANG=C.UTF-8\n"]);
    contains(&ok(command.env("LANG", "")), &["LANG=C.UTF-8\n"]);
    for name in ["LANG", "LC_ALL", "LC_CTYPE"] {
        let said = ok(command.env("LANG", "").env(name, "C"));
        assert!(!said.contains("C.UTF-8"), "{said}");
        command.env_remove(name);
    }
}

#[test]
fn the_manifest_sets_variables() {
    let rig = Rig::new();
    let before = rig.project.lock_text();
    let table = "[toolchains.py.env]\nPY_HOME = \"%R/share\"\nWORD = \"it's 1 = 1\"\n";
    rig.project.manifest(&format!("platforms = [\"{}\"]\n{}{table}", platform(), rig.manifest));
    contains(
        &rig.project.fails(3, &["lock", "--check"]),
        &["env: added PY_HOME=%R/share, WORD=it's 1 = 1"],
    );
    rig.project.ok(&["setup"]);
    let lock = rig.project.lock_text();
    contains(&lock, &["env = { PY_HOME = \"%R/share\", WORD = \"it's 1 = 1\" }"]);
    assert_ne!(lock, before);
    let tree = rig.project.tree();
    let home = format!("PY_HOME={}/share\n", tree.display());
    // By the long way, and by the short one.
    rig.project.manifest(&format!("platforms = [\"{}\"]\n{}{table}\n", platform(), rig.manifest));
    for _ in 0..2 {
        let said = ok(&mut rig.cotter(&["exec", "--", "/usr/bin/env"]));
        contains(&said, &[&home, "WORD=it's 1 = 1\n"]);
    }
    let line = "set -e; eval \"$(\"$0\" env)\"; echo \"$PY_HOME|$WORD\"";
    let mut sh = Command::new("sh");
    sh.args(["-c", line, env!("CARGO_BIN_EXE_cotter")]);
    sh.envs(rig.cotter(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
    let said = ok(sh.current_dir(rig.project.dir()));
    assert_eq!(said, format!("{}/share|it's 1 = 1\n", tree.display()));
    // An entry that was edited is noticed.
    rig.project.scratch.write("project/toolchains.lock", lock.replace("%R/share", "/usr/share"));
    contains(&rig.project.fails(4, &["setup", "--frozen"]), &["edited"]);
}

#[test]
fn an_environment_that_fails_stops_the_shell() {
    let rig = Rig::new();
    for (args, text) in [
        ("env", "platforms = 1"),
        ("env --direnv", "platforms = 1"),
        ("env nobody", ""),
        ("env --no-such-flag", ""),
    ] {
        rig.top(text);
        let line =
            format!("set -e; eval \"$({} {args})\"; echo went on", env!("CARGO_BIN_EXE_cotter"));
        let output = Command::new("bash")
            .args(["-c", &format!("watch_file() {{ :; }}; {line}")])
            .envs(rig.cotter(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))))
            .current_dir(rig.project.dir())
            .output()
            .unwrap();
        let said = crate::support::text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("went on"), "{said}");
        contains(&said, &["error:"]);
    }
    // Programs that read the output are told by the exit code.
    for flag in ["--json", "--github"] {
        let output = rig.cotter(&["env", flag, "nobody"]).output().unwrap();
        assert!(output.stdout.is_empty() && !output.status.success());
    }
}

#[test]
fn direnv_watches_the_files_in_use_and_stops_on_failure() {
    let rig = Rig::new();
    let sets = "[requirements.app]\ninputs = [\"deps/app.in\"]\n";
    rig.project.scratch.write("project/deps/app.in", "-r more.in\n");
    rig.project.scratch.write("project/deps/more.in", "");
    let python = "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.9.0\"\n";
    rig.project.scratch.write("project/below/x", "");
    let watched = |text: &str| {
        rig.top(text);
        let mut command = rig.cotter(&["env", "--direnv", "--offline", "py"]);
        let output = command.current_dir(rig.project.dir().join("below")).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said.lines().next().unwrap().to_owned();
        (line, said, output.status.success())
    };
    let dir = rig.project.dir().display().to_string();
    let base = format!("watch_file '{dir}/toolchains.toml' '{dir}/toolchains.lock'");
    let (line, said, fine) = watched("");
    assert_eq!((line, fine), (base.clone(), true), "{said}");
    assert!(!said.contains("false"), "{said}");
    let (line, said, fine) = watched(&format!("{sets}{python}"));
    assert!(!fine && said.ends_with("\nfalse || exit 1\n"), "{said}");
    assert_eq!(
        line,
        format!("{base} '{dir}/deps/app.in' '{dir}/deps/more.in' '{dir}/requirements-app.txt'")
    );

    // And the real direnv.
    rig.top("");
    let program = env!("CARGO_BIN_EXE_cotter");
    let text = format!("eval \"$({program} env --direnv)\"\n");
    rig.project.scratch.write("project/.envrc", text);
    let direnv = |args: &[&str]| {
        let mut command = Command::new("direnv");
        command.args(args).envs(rig.cotter(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.current_dir(rig.project.dir());
        command
    };
    ok(&mut direnv(&["allow"]));
    let look = ["exec", ".", "sh", "-c", "command -v plain; python3.9; echo $LANG"];
    let output = direnv(&look).output().unwrap();
    contains(
        &crate::support::text(&output),
        &["-py-1-", "/bin/plain", "python3.9 is not in the toolchains", "C.UTF-8"],
    );
    rig.top("platforms = 1");
    let output = direnv(&look).output().unwrap();
    assert!(!output.status.success(), "{}", crate::support::text(&output));
}

/// Start-up files that put the host first on PATH, and those of a shell that is started in an interactive mode without a terminal.
fn in_shell(rig: &Rig, shell: &str, files: &[(&str, &str)], line: &str, flags: &[&str]) -> String {
    let real = ok(Command::new("sh").args(["-c", &format!("command -v {shell}")]));
    // Under its own name, because that decides how it is started.
    rig.script(
        &format!("shells/{shell}"),
        &format!("#!/bin/sh\nexec {} \"$@\" -i -c '{line}'\n", real.trim()),
    );
    for (name, text) in files {
        rig.project.scratch.write(name, text);
    }
    let mut command = rig.cotter(&[&["shell"], flags].concat());
    command.env("SHELL", rig.project.scratch.join(&format!("shells/{shell}")));
    command.env("TERM", "dumb");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", crate::support::text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_shell_keeps_the_toolchains_first_after_the_users_own_files() {
    let rig = Rig::new();
    rig.on_host("plain");
    let host = rig.host_dir().display().to_string();
    let posix =
        format!("PATH={host}:/usr/bin:/bin; export CPATH=/usr/include USER_FILE=read PY_HOME=x\n");
    let fish = format!("set -gx PATH {host} /usr/bin /bin; set -gx USER_FILE read\n");
    let line =
        "command -v plain; python3.9; echo $USER_FILE $COTTER_SHELL \"$ZDOTDIR-\"; echo $PATH";
    let shells: [(&str, Vec<(&str, &str)>); 4] = [
        ("bash", vec![(".bashrc", &posix)]),
        ("zsh", vec![(".zshrc", &posix)]),
        ("zsh", vec![(".zshrc", ""), (".zshenv", &posix)]),
        ("fish", vec![(".config/fish/config.fish", &fish)]),
    ];
    for (shell, files) in shells {
        let said = in_shell(&rig, shell, &files, line, &[]);
        contains(&said, &["-py-1-", "/bin/plain\n", "read 1 -\n"]);
        assert!(!said.contains("the host's python3.9"), "{shell}: {said}");
        let path = said.lines().last().unwrap();
        assert_eq!(path.matches("/guards/").count(), 1, "{shell}: {said}");
        contains(path, &[&host]);
        let said = in_shell(&rig, shell, &files, line, &["--pure"]);
        contains(&said, &["/bin/plain\n", "read 1 -\n"]);
        assert!(!said.lines().last().unwrap().contains(&host), "{shell}: {said}");
        let said = in_shell(&rig, shell, &files, "python3.9", &["--host"]);
        contains(&said, &["the host's python3.9"]);
    }
    // A directory of the user's own for zsh.
    rig.script("shells/zsh", "#!/bin/sh\nexec zsh \"$@\" -i -c 'echo $ZDOTDIR $IN_OWN'\n");
    rig.project.scratch.write("own/.zshrc", "export IN_OWN=yes\n");
    let own = rig.project.scratch.join("own");
    let said = ok(rig
        .cotter(&["shell"])
        .env("SHELL", rig.project.scratch.join("shells/zsh"))
        .env("ZDOTDIR", &own));
    contains(&said, &[&format!("{} yes\n", own.display())]);
}

/// Of two tools that bring a name, the one whose manifest names that package has it, whatever the toolchains are called; a dependency of another tool does not hide it.
#[test]
fn a_named_package_comes_before_a_dependency_of_another_tool() {
    let (server, signer) = (Server::start(), Signer::new());
    let mut archive = Archive::default();
    let bin = |name: &str| Tar::new().program(&format!("./usr/bin/{name}"), &program(name));
    archive.package("user", "1", "Depends: tongue\n", bin("user"));
    archive.package("tongue", "1", "", bin("tongue"));
    archive.publish(&server, &signer);
    let tool = |name: &str, package: &str| {
        format!(
            "[toolchains.{name}]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"{package}\"]\n"
        )
    };
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[mirrors]\ndebian = [\"{}/debian\"]\n[settings]\nkeyring = \"keys.asc\"\n{}{}",
        server.url,
        tool("a-user", "user"),
        tool("the-tongue", "tongue"),
    ));
    project.scratch.write("project/keys.asc", signer.public());
    project.ok(&["setup"]);
    let first = |names: &[&str]| -> bool {
        let said = project.ok(&[&["env", "--json"][..], names].concat());
        let at = |name: &str| said.find(&format!("{name}-1-x86_64-linux/bin")).unwrap();
        at("the-tongue") < at("a-user")
    };
    assert!(first(&[]));
    // An order that the user chose counts.
    assert!(!first(&["a-user", "the-tongue"]));
}

/// With --pure, modules and options that variables of the user name do not reach the interpreters.
#[test]
fn pure_unsets_what_leads_interpreters_to_other_modules() {
    let rig = Rig::new();
    let mut command = rig.project.cotter(&["exec", "--pure", "--", "/usr/bin/env"]);
    let said = ok(command.env("PERL5LIB", "/x").env("GEM_HOME", "/x").env("KEPT", "/x"));
    assert!(said.contains("KEPT=/x") && !said.contains("PERL5LIB") && !said.contains("GEM_HOME"));
}
