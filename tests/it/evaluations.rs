//! What an author can do while Nix evaluates. A repository that was unpacked from an archive lets git run a program, which then tries to get out.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::nix::Nix;
use crate::support::users::{NOBODY, give, is_root};
use crate::support::{Project, clean, contains, copy_program, fails, names, ok};

const FLAKE: &str = r#"{ outputs = { self }: {
  hello = derivation { name = "hello-1.0"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo hi > $out" ]; };
  large = builtins.foldl' (sum: n: sum + builtins.stringLength n) 0 (builtins.genList (n: "${toString n} and so on, and so on, and so on") 50000000);
}; }"#;

/// A project whose `.git` names a program that git starts, in a home with a key.
struct Hostile {
    project: Project,
    outside: Child,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let _ = self.outside.kill();
        let _ = self.outside.wait();
    }
}

impl Hostile {
    /// Creates one whose program runs a script of a shell.
    fn new(script: &str) -> Self {
        let project = Project::new("");
        project.manifest("platforms = [\"x86_64-linux\"]\n[toolchains.hello]\nkind = \"tool\"\nsource = \"nix\"\nflake = \".#hello\"\n[nix]\ncaches = [\"file:///nonexistent\"]\n");
        let home = project.scratch.path().to_owned();
        project.scratch.write(".ssh/id_test", "the key of the user\n");
        let outside = Command::new("sleep").arg("600").spawn().unwrap();
        let script = script
            .replace("HOME_OF_USER", home.to_str().unwrap())
            .replace("OUTSIDE", &outside.id().to_string());
        project.scratch.write("project/flake.nix", FLAKE);
        let program = project.scratch.write("project/spy", script);
        ok(Command::new("chmod").arg("0755").arg(&program));
        let git = |args: &[&str]| {
            ok(Command::new("git").args(args).current_dir(project.dir()).env("HOME", &home));
        };
        git(&["init", "--quiet"]);
        git(&["add", "flake.nix", "spy"]);
        git(&["config", "core.fsmonitor", program.to_str().unwrap()]);
        Hostile { project, outside }
    }

    /// Returns what the program has written, wherever Nix keeps its caches.
    fn found(&self) -> String {
        let mut out = String::new();
        for name in self.project.stored("nix") {
            for place in ["confined", "open"] {
                let file =
                    self.project.store.join("nix").join(&name).join(place).join("cache/found");
                out += &std::fs::read_to_string(file).unwrap_or_default();
            }
        }
        out
    }
}

/// What the program tries. Each line is one success.
const TRIES: &str = r#"#!/bin/sh
mkdir -p "$XDG_CACHE_HOME"
{
echo RAN
grep -q 'key of the user' HOME_OF_USER/.ssh/id_test && echo READ
touch HOME_OF_USER/planted
touch HOME_OF_USER/project/planted && echo CHANGED
kill -0 OUTSIDE && echo SIGNALLED
test -r /proc/OUTSIDE/environ && echo SAW
test -r /etc/shadow && echo SHADOW
touch /etc/nix-was-here && rm /etc/nix-was-here && echo CONFIGURED
test -n "$(ls -A /root /home 2>/dev/null | grep -v -e ^nix$ -e : | tr -d '\n')" && echo LISTED
unshare --user --map-root-user true && echo NESTED
if test "$HOME" = /home/nix; then
  mount -t tmpfs tmpfs /home/nix && echo MOUNTED
  mount -o remount,bind,rw HOME_OF_USER/project && echo REMOUNTED
  umount HOME_OF_USER/project && echo UNMOUNTED
fi
touch HOME_OF_USER/store/nix/*/etc/nix.conf && echo SETTINGS
python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + "cotter-test-x")' && echo ABSTRACT
echo END
} > "$XDG_CACHE_HOME/found" 2>/dev/null
"#;

#[test]
fn a_flake_that_runs_programs_reaches_nothing_of_the_user() {
    let hostile = Hostile::new(TRIES);
    let said = hostile.project.fails(1, &["lock"]);
    contains(&said, &["no cache has /nix/store/", "-hello-1.0"]);
    assert!(!said.contains("with all your rights"), "{said}");
    assert_eq!(hostile.found(), "RAN\nEND\n", "{said}");
    assert!(!hostile.project.scratch.join("planted").exists());
    // The same program, where the user wants no namespace: it is no harmless one.
    let mut open = hostile.project.cotter(&["lock"]);
    let said = fails(1, open.env("COTTER_NIX_NAMESPACE", "0"));
    contains(&said, &["Nix evaluates with all your rights", "COTTER_NIX_NAMESPACE is 0"]);
    contains(&hostile.found(), &["READ\n", "CHANGED\n", "SIGNALLED\n", "SETTINGS\n", "ABSTRACT\n"]);
    assert!(hostile.project.scratch.join("planted").exists());
}

/// Whether a process with an argument runs.
fn runs(argument: &str) -> bool {
    names(Path::new("/proc")).iter().filter(|name| name.parse::<u32>().is_ok()).any(|name| {
        let line = std::fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
    })
}

#[test]
fn nothing_of_an_evaluation_outlives_it_or_its_limits() {
    // It leaves a process behind that has the output open and another group.
    let left = format!("{}.5", 700_000 + std::process::id() % 100_000);
    let hostile = Hostile::new(&format!(
        "#!/bin/sh\nmkdir -p $XDG_CACHE_HOME\nsetsid sleep {left} > /dev/null &\necho RAN > $XDG_CACHE_HOME/found\n"
    ));
    let begin = Instant::now();
    contains(&hostile.project.fails(1, &["lock"]), &["no cache has"]);
    contains(&hostile.found(), &["RAN"]);
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert!(!runs(&left));
    // It does not end.
    let endless = format!("{}.5", 800_000 + std::process::id() % 100_000);
    let hostile = Hostile::new(&format!(
        "#!/bin/sh\ntrap '' TERM\nsetsid sleep {endless} &\nsleep {endless}\n"
    ));
    let begin = Instant::now();
    let said = fails(6, hostile.project.cotter(&["lock"]).env("COTTER_BUILD_TIMEOUT", "3"));
    contains(&said, &["did not come to an end", "more than 3 s"]);
    assert!(begin.elapsed() < Duration::from_secs(60));
    assert!(!runs(&endless));
    // It takes more memory than it may.
    let hostile = Hostile::new("#!/bin/sh\n");
    let manifest = std::fs::read_to_string(hostile.project.dir().join("toolchains.toml")).unwrap();
    hostile.project.manifest(&manifest.replace("#hello", "#large"));
    let said = fails(6, hostile.project.cotter(&["lock"]).env("COTTER_BUILD_MEMORY", "300"));
    contains(&said, &["used more memory than the 300 MiB", "COTTER_BUILD_MEMORY"]);
}

#[test]
fn what_was_evaluated_is_handed_over_to_where_it_is_built_and_forgotten_by_gc() {
    let project = Project::new("");
    project.scratch.write(
        "project/flake.nix",
        FLAKE.replace("echo hi > $out", "read -r x < ${./data}; echo $x > $out"),
    );
    project.scratch.write("project/data", "of a source\n");
    project.manifest("platforms = [\"x86_64-linux\"]\n[toolchains.hello]\nkind = \"tool\"\nsource = \"nix\"\nflake = \".#hello\"\nbuild = true\n[nix]\ncaches = [\"file:///nonexistent\"]\n");
    let here = Nix::new();
    let run = |args: &[&str]| {
        let mut command = project.cotter(args);
        command.env("NIX_REMOTE", here.root()).env("NIX_CONF_DIR", here.scratch.join("etc"));
        command
    };
    let said = run(&["lock"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let lock = project.lock_text();
    contains(&lock, &["-hello-1.0\"", "built = true"]);
    let path = lock.split('"').find(|word| word.ends_with("-hello-1.0")).unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(here.place(&path)).unwrap(), "of a source\n", "{said}");
    // An import from a derivation would be built within the namespace, and is refused there.
    project.scratch.write("project/flake.nix", FLAKE.replace("hello = ", "hello = import (derivation { name = \"x.nix\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo 1 > $out\" ]; }); other = "));
    contains(
        &fails(1, &mut run(&["lock"])),
        &["needs the daemon of Nix, or COTTER_NIX_NAMESPACE=0"],
    );
    // What no root needs any more goes.
    // A log is kept for a week at least.
    let log = project.scratch.write("store/logs/x.log", "a build that failed");
    ok(Command::new("touch").args(["-d", "10 days ago"]).arg(log));
    let kept = |text: &str| {
        String::from_utf8_lossy(
            &run(&["gc", "--keep-days", "0"]).arg(text).output().unwrap().stdout,
        )
        .into_owned()
    };
    let of = project.stored("nix");
    assert_eq!(of.len(), 1);
    contains(
        &kept("--dry-run"),
        &[
            "would delete what Nix has evaluated and built for 1 project (",
            "would delete logs of builds (19 B)",
        ],
    );
    assert_eq!(project.stored("nix"), of);
    contains(&kept("--quiet"), &[]);
    assert_eq!(project.stored("nix"), Vec::<String>::new());
    assert_eq!(project.stored("logs"), Vec::<String>::new());
}

/// On a machine with a daemon, an evaluation in a namespace asks it, so that it may build what it imports.
#[test]
fn an_evaluation_asks_the_daemon_of_the_machine() {
    if !is_root() {
        return;
    }
    let project = Project::new(
        "platforms = [\"x86_64-linux\"]\n[toolchains.hello]\nkind = \"tool\"\nsource = \"nix\"\nflake = \".#hello\"\nbuild = true\n[nix]\ncaches = [\"file:///nonexistent\"]\n",
    );
    let scratch = &project.scratch;
    scratch.write("project/flake.nix", FLAKE.replace("hello = ", "hello = import (derivation { name = \"x.nix\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo 'x: x' > $out\" ]; }) ").replace("echo hi > $out", "mkdir=/bin/mkdir; $mkdir -p $out/bin; echo built > $out/bin/hello"));
    scratch.write("etc/nix.conf", "build-users-group =\nsubstituters =\nsandbox = false\n");
    scratch.write(".ssh/id_test", "the key of the user\n");
    std::fs::create_dir_all(scratch.join("nix/store")).unwrap();
    std::fs::create_dir_all(&project.store).unwrap();
    copy_program(env!("CARGO_BIN_EXE_cotter"), &scratch.join("cotter"));
    for part in ["project", "store"] {
        give(&scratch.join(part), NOBODY);
    }
    let script = r#"
nix-daemon > daemon.log 2>&1 &
trap "kill $!" EXIT
tries=0
while [ ! -S /nix/var/nix/daemon-socket/socket ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
cd project
setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=$SCRATCH COTTER_STORE=$SCRATCH/store "$SCRATCH/cotter" lock 2>&1
cat toolchains.lock
"#;
    let mut bwrap = Command::new("bwrap");
    clean(&mut bwrap, scratch.path());
    bwrap.env("NIX_CONF_DIR", scratch.join("etc")).env("SCRATCH", scratch.path());
    bwrap.args(["--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc"]);
    bwrap.arg("--bind").arg(scratch.join("nix")).arg("/nix").arg("--chdir").arg(scratch.path());
    let printed = ok(bwrap.args(["sh", "-ec", script]));
    contains(&printed, &["-hello-1.0\"", "built = true"]);
    assert!(!printed.contains("with all your rights"), "{printed}");
}
