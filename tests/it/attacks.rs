//! What hostile repositories, packages and other users of the machine once could do.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

use crate::support::archive::Tar;
use crate::support::server::Server;
use crate::support::users::{NOBODY, bin, give, interactive, is_root};
use crate::support::{Project, contains, fails, ok, text};

/// A project with a tool whose tree brings a program `cotter`.
fn rig() -> (Server, Project) {
    let server = Server::start();
    // Shells run a program without a format as one of their own.
    let evil = ": > \"$P/pwned\"\necho ': > \"$P/pwned\"'\n";
    let tar = Tar::new().program("bin/cotter", evil.as_bytes()).program("bin/a", b"true\n");
    let url = server.put("/a.tar", tar.finish());
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\", \"aarch64-linux\"]\nhost = [\"sh\"]\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n[toolchains.a.env]\nKEPT = \"new\"\n"
    ));
    project.ok(&["setup"]);
    (server, project)
}

#[test]
fn the_hook_starts_no_program_of_the_project() {
    let (_server, project) = rig();
    // An update replaces what the link leads to.
    let link = project.scratch.join("it's $(here)");
    std::fs::create_dir(&link).unwrap();
    symlink(bin().join("cotter"), link.join("cotter")).unwrap();
    let posix = "cd \"$P\"\necho \"in: <$KEPT> <${PATH%%:*}>\"\ntrue\ncd /\necho \"out: <$KEPT>\"\ncd \"$P\"\necho \"again: <$KEPT>\"\ncd /\n";
    let fish = "cotter hook fish | source\ncd $P; emit fish_prompt\necho \"in: <$KEPT> <$PATH[1]>\"\nemit fish_prompt\ncd /; emit fish_prompt\necho \"out: <$KEPT>\"\ncd $P; emit fish_prompt\necho \"again: <$KEPT>\"\ncd /; emit fish_prompt\n";
    let first = format!("in: <new> <{}/bin>", project.tree().display());
    for at in [bin(), link] {
        for shell in [&["bash", "--norc", "-i"][..], &["zsh", "-f", "-i"], &["fish", "--no-config"]]
        {
            let script = match shell[0] {
                "fish" => fish.to_owned(),
                name => format!("eval \"$(cotter hook {name})\"\n{posix}"),
            };
            let said = interactive(&project, shell, &at, &script);
            contains(&said, &[&first, "out: <old 'value'>", "again: <new>"]);
            assert!(!project.dir().join("pwned").exists(), "{}: {said}", shell[0]);
        }
    }
    let said = interactive(
        &project,
        &["bash", "--norc"],
        &project.scratch.join("it's $(here)"),
        "cotter hook bash\n",
    );
    contains(&said, &["command '", "it'\\''s $(here)/cotter' hook bash --update"]);
}

#[test]
fn a_manifest_of_another_user_is_used_only_when_it_is_accepted() {
    if !is_root() {
        return;
    }
    let (_server, project) = rig();
    let below = project.dir().join("victim");
    std::fs::create_dir(&below).unwrap();
    let cotter = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.current_dir(&below).env_remove("COTTER_TRUST");
        command
    };
    // What the project brings is accepted, but not its owner.
    ok(&mut cotter(&["trust"]));
    ok(&mut cotter(&["path", "a"]));
    for name in ["toolchains.toml", "toolchains.lock", ""] {
        let path = project.dir().join(name);
        give(&path, NOBODY);
        for args in [
            &["path", "a"][..],
            &["list"],
            &["env"],
            &["exec", "a", "--", "sh", "-c", "true"],
            &["setup"],
            &["lock", "--check"],
            &["hook", "bash", "--update"],
        ] {
            let said = fails(1, &mut cotter(args));
            contains(&said, &["belongs to the user 65534", "expected the user 0:", "cotter trust"]);
        }
        // The user can say that it is meant, by several ways.
        let manifest = project.dir().join("toolchains.toml");
        ok(&mut cotter(&["--manifest", manifest.to_str().unwrap(), "path", "a"]));
        ok(cotter(&["path", "a"]).env("COTTER_TRUST", "1"));
        ok(cotter(&["path", "a"]).env("SUDO_UID", NOBODY.to_string()));
        fails(1, cotter(&["path", "a"]).env("SUDO_UID", "12345"));
        let listed = ok(&mut cotter(&["trust", "--list"]));
        contains(&listed, &["new      whatever the user 65534 writes into this project"]);
        fails(1, &mut cotter(&["path", "a"]));
        ok(&mut cotter(&["trust"]));
        ok(&mut cotter(&["exec", "a", "--", "sh", "-c", "true"]));
        ok(&mut cotter(&["trust", "--revoke"]));
        fails(1, &mut cotter(&["path", "a"]));
        give(&path, 0);
        ok(&mut cotter(&["trust"]));
        ok(&mut cotter(&["path", "a"]));
        ok(&mut cotter(&["trust", "--revoke"]));
        ok(&mut cotter(&["trust"]));
    }
    // The hook says so once, and sets nothing.
    give(&project.dir().join("toolchains.toml"), NOBODY);
    let script = "eval \"$(cotter hook bash)\"\nunset COTTER_TRUST\ncd \"$P/victim\"\ntrue\ntrue\necho \"<$KEPT>\"\n";
    let said = interactive(&project, &["bash", "--norc", "-i"], &bin(), script);
    assert_eq!(said.matches("belongs to the user 65534").count(), 1, "{said}");
    contains(&said, &["<old 'value'>"]);
}

#[test]
fn a_manifest_or_a_lock_without_an_end_is_refused() {
    let (_server, project) = rig();
    let dir = project.dir();
    let (manifest, lock) = (dir.join("toolchains.toml"), dir.join("toolchains.lock"));
    let refused = |args: &str, words: &str| {
        let like = project.cotter(&[]);
        let program = like.get_program().to_str().unwrap();
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -v 2000000; exec '{program}' {args}")]);
        limited.env_clear().envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))));
        contains(&fails(1, limited.current_dir(&dir)), &["can't read toolchains.", words]);
    };
    for file in [&lock, &manifest] {
        for long in [false, true] {
            std::fs::remove_file(file).unwrap();
            let words = if long {
                std::fs::File::create(file).unwrap().set_len(65 << 20).unwrap();
                "expected at most 67108864 bytes, got more"
            } else {
                // It is a regular file and says that it is empty, but has a byte for each page of memory that there could be.
                symlink("/proc/self/pagemap", file).unwrap();
                "caused by:"
            };
            for args in ["hook bash --update", "lock --check"] {
                refused(args, words);
            }
        }
    }
}

#[test]
fn an_emitted_file_that_is_too_long_is_not_read() {
    let server = Server::start();
    let url = server.put("/a.tar", Tar::new().program("bin/a", b"true\n").finish());
    let project = Project::new(&format!(
        "platforms = [\"x86_64-linux\"]\n[toolchains.a]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n[emit.bazel]\ndir = \"bazel\"\n"
    ));
    project.ok(&["setup"]);
    let emitted = crate::support::names(&project.dir().join("bazel"));
    let file = project.dir().join("bazel").join(&emitted[0]);
    std::fs::File::options().write(true).open(&file).unwrap().set_len(65 << 20).unwrap();
    let said = project.fails(1, &["emit", "--check", "bazel"]);
    contains(&said, &["can't read", "expected at most 67108864 bytes, got more"]);
}

#[test]
fn names_of_files_do_not_change_the_terminal() {
    let (_server, project) = rig();
    let name =
        std::ffi::OsStr::from_bytes("a\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}\nerror: b".as_bytes());
    let dir = project.scratch.path().join(name);
    std::fs::create_dir(&dir).unwrap();
    let manifest = std::fs::read(project.dir().join("toolchains.toml")).unwrap();
    let run = |args: &[&str]| {
        let mut command = project.cotter(args);
        command
            .current_dir(project.scratch.path())
            .env("COTTER_MANIFEST", dir.join("toolchains.toml"));
        command.env_remove("COTTER_TRUST");
        let said = text(&command.output().unwrap());
        let hidden = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!said.contains(hidden), "{args:?}: {said:?}");
        assert!(!said.contains("\nerror: b"), "{args:?}: {said:?}");
        said
    };
    std::fs::write(dir.join("toolchains.toml"), "platforms = [\"odd\"]\n").unwrap();
    contains(
        &run(&["lock", "--check"]),
        &["caused by:", "\\u{1b}]0;pwned\\u{7}", "\\u{202e}\\u{a}error"],
    );
    std::fs::write(dir.join("toolchains.toml"), &manifest).unwrap();
    contains(&run(&["setup"]), &["nobody accepted", "at: ", "\\u{1b}]0;pwned"]);
    contains(&run(&["trust"]), &["\\u{1b}]0;pwned\\u{7}"]);
    contains(&run(&["trust", "--revoke"]), &["\\u{1b}]0;pwned\\u{7}"]);
    std::fs::write(dir.join("toolchains.toml"), "platforms = [\"x86_64-linux\"]\n").unwrap();
    contains(&run(&["trust"]), &["brings nothing", "\\u{202e}"]);
}

#[test]
fn what_looks_like_an_accepted_variable_is_asked_for() {
    let (_server, project) = rig();
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let with = |value: &str| project.manifest(&manifest.replace("KEPT = \"new\"", value));
    let cotter = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.env_remove("COTTER_TRUST");
        command
    };
    // A backslash, and the character for which it stands.
    with("KEPT = 'a\\u{202e}b'");
    ok(&mut cotter(&["trust"]));
    let listed = ok(&mut cotter(&["trust", "--list"]));
    contains(&listed, &["trusted  toolchains.toml:", "KEPT=a\\u{202e}b"]);
    with("KEPT = \"a\\u202eb\"");
    let listed = ok(&mut cotter(&["trust", "--list"]));
    contains(&listed, &["new      toolchains.toml:", "KEPT=a\\u{202e}b"]);
    assert!(!listed.contains('\u{202e}'), "{listed:?}");
}

#[test]
fn a_bare_repository_in_a_repository_does_not_choose_the_old_lock() {
    let (_server, project) = rig();
    let top = project.scratch.join("top");
    let sub = top.join("sub");
    let git = |dir: &Path, args: &[&str]| {
        let mut command = Command::new("git");
        crate::support::clean(&mut command, project.scratch.path());
        let own =
            ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"];
        ok(command.args(own).arg("-C").arg(dir).args(args))
    };
    let copy = |to: &Path| {
        std::fs::create_dir_all(to).unwrap();
        for name in ["toolchains.toml", "toolchains.lock"] {
            std::fs::copy(project.dir().join(name), to.join(name)).unwrap();
        }
    };
    // The history of the bare repository ends with the lock as it is now, and that of the real one does not.
    let evil = project.scratch.join("evil");
    copy(&evil);
    git(&evil, &["init", "-q"]);
    git(&evil, &["add", "."]);
    git(&evil, &["commit", "-qm", "evil"]);
    git(project.scratch.path(), &["clone", "-q", "--bare", "evil", "bare"]);
    copy(&sub);
    git(&top, &["init", "-q"]);
    git(&top, &["commit", "-qm", "before", "--allow-empty"]);
    ok(Command::new("cp").arg("-r").arg(project.scratch.join("bare/.")).arg(&sub));
    let diff = || {
        let mut command = project.cotter(&["diff", "HEAD"]);
        command.current_dir(&sub);
        command
    };
    let error = fails(1, &mut diff());
    contains(&error, &["bare repository"]);
    for name in crate::support::names(&project.scratch.join("bare")) {
        let path = sub.join(name);
        let _ = std::fs::remove_dir_all(&path);
        let _ = std::fs::remove_file(&path);
    }
    contains(&ok(&mut diff()), &["a"]);
}

#[test]
fn somebody_who_holds_the_lock_of_a_tree_is_named_and_does_not_stop_anybody() {
    let (_server, project) = rig();
    let name = project.tree().file_name().unwrap().to_owned();
    let locks = project.store.join("locks");
    // Whoever may not write to the store can't lock what only writers lock.
    let other = project.scratch.join("other");
    ok(project.cotter(&["setup"]).env("COTTER_STORE", &other));
    let composed = other.join("locks").join(format!("{}.compose", name.to_str().unwrap()));
    for file in [locks.join("roots"), composed] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let open = |path: &Path| std::fs::File::open(path).unwrap();
    let held = [open(&locks.join(&name)), open(&project.store.join("roots"))];
    for file in &held {
        flock(file, FlockOperation::LockExclusive).unwrap();
    }
    let output = project.cotter(&["exec", "a", "--", "sh", "-c", "echo started"]).output().unwrap();
    let (said, me) = (text(&output), std::process::id());
    assert!(output.status.success(), "{said}");
    contains(&said, &["started", &format!("process {me} of the user"), "holds the lock"]);
    project.ok(&["setup"]);
}

/// Modules that are imported from a checkout are asked for before there is a lock, too.
#[test]
fn editable_directories_are_asked_for_before_the_first_lock() {
    let project = Project::new(
        "[toolchains.python]\nkind = \"python\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"python3.11\"]\n[toolchains.uv]\nkind = \"tool\"\nsource = \"pypi\"\nversion = \"0.13.8\"\n[requirements.app]\ninputs = [\"requirements.in\"]\neditable = [\"lib\"]\n",
    );
    project.scratch.write("project/requirements.in", "-e ./own\n");
    for dir in ["lib", "own"] {
        std::fs::create_dir(project.dir().join(dir)).unwrap();
    }
    let untrusted = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.env_remove("COTTER_TRUST");
        command
    };
    let said = [
        "modules of the directory lib for the Python programs of app",
        "modules of the directory own for the Python programs of app",
    ];
    contains(&ok(&mut untrusted(&["trust", "--list"])), &said);
    contains(&fails(1, &mut untrusted(&["lock"])), &said);
    assert!(!project.dir().join("toolchains.lock").exists());
}
