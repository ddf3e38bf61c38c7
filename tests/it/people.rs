//! What people know from other command lines: timings, a configuration file, JSON of every verb, and completion of names in real shells.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::support::archive::Tar;
use crate::support::debian::{Archive, Signer};
use crate::support::server::Server;
use crate::support::{Project, contains, ok, text};

/// A project with a toolchain of two packages of an archive, and a task. The manifest names no mirror.
fn rig() -> (Server, Project) {
    let (server, signer) = (Server::start(), Signer::new());
    let mut archive = Archive::default();
    archive.package("app", "1.0", "Depends: libapp\n", Tar::new().program("./usr/bin/app", b"app"));
    archive.package("libapp", "2.0", "", Tar::new().file("./usr/share/libapp", b"data"));
    archive.publish(&server, &signer);
    let project = Project::new(
        "platforms = [\"x86_64-linux\"]\n\n[settings]\nkeyring = \"keys.asc\"\n\n[tasks]\nbuild-it = [\"app\"]\nbuild-all = { command = [\"app\", \"all\"], depends-on = [\"build-it\"] }\n\n[toolchains.apptool]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"test\"\npackages = [\"app\"]\n",
    );
    project.scratch.write("project/keys.asc", signer.public());
    config(&project, &format!("[mirrors]\ndebian = [\"{}/debian\"]\n", server.url));
    (server, project)
}

/// Writes the configuration file of the user.
fn config(project: &Project, text: &str) {
    project.scratch.write(".config/cotter/config.toml", text);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn timings_tell_the_phases_of_each_tree() {
    let (_server, project) = rig();
    let said = text(&project.cotter(&["lock", "--timings"]).output().unwrap());
    contains(
        &said,
        &["seconds", "resolve", "fetch", "unpack", "make", "link", "apptool for x86_64-linux"],
    );
    contains(&said, &["all, as threads add up", "the whole command: "]);
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).status();
    std::fs::remove_dir_all(&project.store).unwrap();
    let said = json(&project.ok(&["setup", "--timings", "--json"]));
    let timings = &said["timings"];
    let tree =
        timings["trees"].as_array().unwrap().iter().find(|t| t["of"] == "apptool for x86_64-linux");
    let phases = &tree.unwrap()["seconds"];
    for phase in ["fetch", "unpack", "make", "link"] {
        assert!(phases[phase].as_f64().is_some_and(|seconds| seconds >= 0.0), "{phase}: {said}");
    }
    assert!(phases["fetch"].as_f64().unwrap() > 0.0, "{said}");
    assert!(timings["seconds"].as_f64().unwrap() > 0.0, "{said}");
    // Nothing is told unless it is asked for, and nothing was done the second time.
    assert!(json(&project.ok(&["setup", "--json"]))["timings"].is_null());
    let output = project.cotter(&["setup", "--timings"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    contains(&errors, &["the whole command: "]);
    assert!(!errors.contains("unpack"), "{errors}");
}

#[test]
fn the_configuration_of_a_user_names_mirrors_and_a_store() {
    let (server, project) = rig();
    let place = project.scratch.join(".config/cotter/config.toml").display().to_string();
    // The mirror of the configuration is the only one.
    project.ok(&["lock"]);
    assert!(!server.log().is_empty());
    contains(&text(&project.cotter(&["doctor"]).output().unwrap()), &[&format!("{place} is read")]);
    // The environment comes before it.
    let other = Server::start();
    let mut command = project.cotter(&["lock", "--upgrade"]);
    command.env("COTTER_MIRROR_DEBIAN", format!("{}/debian", other.url)).output().unwrap();
    assert!(!other.log().is_empty(), "the mirror of the environment was not asked");

    let own = project.scratch.join("own");
    config(&project, &format!("store = \"{}\"\njobs = 2\ncolor = \"always\"\n", own.display()));
    let dirs = |command: &mut Command| ok(command);
    let said = dirs(project.cotter(&["cache", "dir"]).env_remove("COTTER_STORE"));
    contains(&said, &[&own.display().to_string()]);
    let said = dirs(&mut project.cotter(&["cache", "dir"]));
    assert!(!said.contains(&own.display().to_string()), "COTTER_STORE comes first: {said}");
    config(&project, "store = \"~/here\"\n");
    let said = dirs(project.cotter(&["cache", "dir"]).env_remove("COTTER_STORE"));
    contains(&said, &[&project.scratch.join("here").display().to_string()]);
    // Another place of configuration files.
    let xdg = project.scratch.join("xdg");
    let said = text(&project.cotter(&["doctor"]).env("XDG_CONFIG_HOME", &xdg).output().unwrap());
    contains(&said, &[&format!("none: there is no {}", xdg.join("cotter/config.toml").display())]);
}

#[test]
fn colours_of_the_configuration_give_way_to_the_flag() {
    let (_server, project) = rig();
    config(&project, "color = \"always\"\n");
    let failure = |arguments: &[&str]| text(&project.cotter(arguments).output().unwrap());
    assert!(failure(&["run", "nothing"]).contains('\u{1b}'));
    assert!(!failure(&["--color", "never", "run", "nothing"]).contains('\u{1b}'));
    assert!(!failure(&["--color", "auto", "run", "nothing"]).contains('\u{1b}'));
}

#[test]
fn a_configuration_that_is_wrong_or_of_others_is_refused() {
    let (_server, project) = rig();
    let place = project.scratch.join(".config/cotter/config.toml");
    config(
        &project,
        "jobs = 0\nstore = \"here\"\ncolour = \"never\"\ntrust = true\ncolor = \"red\"\n[mirrors]\ndebian = [\"ftp://x\"]\n",
    );
    let said = project.fails(1, &["list"]);
    let at = |line: usize| format!("{}:{line}:", place.display());
    contains(&said, &["6 problems", &at(1), &at(2), &at(3), &at(4), &at(5), &at(7)]);
    contains(
        &said,
        &[
            "expected a number from 1 to 256",
            "unknown key \"trust\"",
            "unknown key \"colour\"",
            "did you mean",
        ],
    );
    config(&project, "jobs = 2\n");
    let mode =
        |mode| std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o646);
    contains(
        &project.fails(1, &["list"]),
        &["is not read", "everybody may change it", "chmod o-w"],
    );
    mode(0o664);
    project.fails(3, &["list"]);
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    contains(&project.fails(1, &["list"]), &["is not read", "expected a file"]);
    std::fs::remove_dir(&place).unwrap();
    // Only root can give a file away.
    if crate::support::users::is_root() {
        config(&project, "jobs = 2\n");
        std::os::unix::fs::chown(&place, Some(65_533), None).unwrap();
        contains(&project.fails(1, &["list"]), &["it belongs to the user 65533"]);
    }
}

#[test]
fn verbs_print_json_and_so_do_their_mistakes() {
    let (_server, project) = rig();
    let said = json(&project.ok(&["add", "libapp", "--name", "lib", "--suite", "test", "--json"]));
    assert!(said.to_string().contains("\"lib\""), "{said}");
    let said = json(&project.ok(&["remove", "lib", "--json"]));
    assert!(said.to_string().contains("\"lib\""), "{said}");
    let tree = json(&project.ok(&["tree", "--json"]));
    let packages = tree["trees"][0]["packages"].as_array().unwrap();
    let app = packages.iter().find(|package| package["name"] == "app").unwrap();
    assert_eq!(app["requires"], serde_json::json!(["libapp"]));
    contains(app["asked"][0]["place"].as_str().unwrap(), &["toolchains.toml:"]);
    let why = json(&project.ok(&["why", "libapp", "--json"]));
    assert_eq!(why["found"][0]["chains"][0]["packages"], serde_json::json!(["app", "libapp"]));
    assert_eq!(why["found"][0]["toolchain"], "apptool");
    let path = json(&project.ok(&["path", "apptool", "--json"]));
    assert!(path["path"].as_str().unwrap().contains("apptool"), "{path}");
    let bin = json(&project.ok(&["path", "--bin", "--json"]));
    assert_eq!(bin["bin"].as_array().unwrap().len(), 1, "{bin}");
    let tasks = json(&project.ok(&["run", "--json"]));
    assert_eq!(tasks["tasks"][0]["depends_on"], serde_json::json!(["build-it"]));
    assert_eq!(tasks["tasks"][1]["command"], serde_json::json!(["app"]));
    let failure = |code, arguments: &[&str]| {
        let said = project.fails(code, arguments);
        json(said.lines().last().unwrap())["error"].clone()
    };
    let missing = failure(2, &["why", "--json"]);
    assert_eq!(missing["kind"], "usage");
    contains(missing["message"].as_str().unwrap(), &["not provided: <PACKAGE>"]);
    contains(
        failure(1, &["why", "nothing", "--json"])["message"].as_str().unwrap(),
        &["\"nothing\""],
    );
    contains(failure(1, &["venv", "--json"])["message"].as_str().unwrap(), &["no Python packages"]);
    let said = project.fails(2, &["venv", ".venv2"]);
    contains(&said, &["a set of requirements comes first", "cotter venv NAME .venv2"]);
}

/// Runs the completion of a line in bash, and returns what it proposes.
fn in_bash(project: &Project, words: &str) -> String {
    let script = format!(
        "source <(cotter completions bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _cotter_with_names cotter \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"; complete -p cotter"
    );
    ok(in_shell(project, "bash", &["--norc", "-c", &script]))
}

fn in_shell<'a>(project: &Project, shell: &str, arguments: &[&str]) -> &'a mut Command {
    let mut command = Command::new(shell);
    crate::support::clean(&mut command, project.scratch.path());
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_cotter")).parent().unwrap();
    command.args(arguments).current_dir(project.dir());
    command
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("COTTER_STORE", &project.store);
    Box::leak(Box::new(command))
}

#[test]
fn shells_complete_the_names_of_a_project() {
    let (_server, project) = rig();
    project.ok(&["lock"]);
    let lines = |said: &str| said.lines().map(|l| l.trim().to_owned()).collect::<Vec<_>>();
    let has = |said: &str, name: &str| {
        lines(said).iter().any(|line| line.split('\t').next() == Some(name))
    };

    let said = in_bash(&project, "cotter setup ap");
    assert!(has(&said, "apptool") && !has(&said, "build-it"), "{said}");
    contains(&said, &["complete -o bashdefault -o default -F _cotter_with_names cotter"]);
    let said = in_bash(&project, "cotter run build");
    assert!(has(&said, "build-it") && has(&said, "build-all"), "{said}");
    assert!(has(&in_bash(&project, "cotter --offline why lib"), "libapp"));
    assert!(!has(&in_bash(&project, "cotter exec -- ap"), "apptool"));
    assert!(has(&in_bash(&project, "cotter set"), "setup"));

    for (line, name) in [("setup ap", "apptool"), ("run build", "build-it"), ("why lib", "libapp")]
    {
        let fish = format!("cotter completions fish | source; complete -C 'cotter {line}'");
        let said = ok(in_shell(&project, "fish", &["--no-config", "-c", &fish]));
        assert!(has(&said, name), "{line}: {said}");
    }

    // What zsh proposes can be seen on a terminal of its own only.
    let dir = project.scratch.path().display().to_string();
    ok(in_shell(&project, "sh", &["-c", &format!("cotter completions zsh > {dir}/_cotter")]));
    for (line, rest) in [("setup app", "tool"), ("run build-a", "ll"), ("why lib", "app")] {
        let zsh = format!(
            "zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z 'PS1=G\"\"O; fpath=({dir} $fpath); autoload -U compinit; compinit -u -D; print READY'; zpty -r z out '*READY*READY*GO*'; zpty -w -n z $'cotter {line}\\t\\x01: \\x05 DONE\\n'; zpty -r z out '*DONE*'; print -r -- $out; zpty -d z"
        );
        let said = ok(in_shell(&project, "zsh", &["-f", "-c", &zsh]));
        assert!(said.contains(&format!("{line}{rest}")), "{line}: {said:?}");
    }

    // Outside of a project, and with a manifest that is wrong, nothing is said.
    let mut outside = project.cotter(&["__complete", "toolchains"]);
    let output = outside.current_dir("/").output().unwrap();
    assert!(output.status.success() && text(&output).is_empty(), "{output:?}");
    project.manifest("x = [");
    assert_eq!(text(&project.cotter(&["__complete", "tasks"]).output().unwrap()), "");
}

#[test]
fn init_knows_more_projects() {
    let project = Project::new("");
    std::fs::remove_file(project.dir().join("toolchains.toml")).unwrap();
    for name in ["Pipfile", "setup.cfg", ".python-version"] {
        project.scratch.write(&format!("project/{name}"), "");
    }
    let said = text(&project.cotter(&["init"]).output().unwrap());
    contains(
        &said,
        &["cotter does not read Pipfile", "because there is Pipfile, setup.cfg, .python-version"],
    );
    assert!(project.dir().join("requirements.in").exists());
}
