//! System calls that fail in the middle of the work: the disk is full, broken, or not allowed. Whatever fails, the next run is right.
//!
//! strace makes the n-th call of a thread fail. The program is static, so a library could not be put before it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::archives::manifest;
use crate::support::archive::{Tar, gzip};
use crate::support::{Project, names, ok, text};

/// Calls that fail for the same reason.
const CALLS: [(&str, &str); 6] = [
    ("write", "write,pwrite64,writev,copy_file_range,sendfile,fallocate,ftruncate"),
    ("fsync", "fsync,fdatasync,syncfs"),
    ("rename", "rename,renameat,renameat2"),
    ("link", "link,linkat,symlink,symlinkat"),
    ("mkdir", "mkdir,mkdirat,chmod,fchmod,fchmodat,utimensat"),
    ("open", "open,openat,openat2"),
];

const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EDQUOT", "EACCES", "ESTALE"];

/// Exit codes of errors that are told. 9 is a fault of the program, and above are signals.
const TOLD: std::ops::RangeInclusive<i32> = 0..=8;

/// The lock, the trees, and every file of the project.
type State = (String, Vec<String>, BTreeMap<PathBuf, Vec<u8>>);

/// A command that is disturbed.
pub struct Scenario {
    name: &'static str,
    args: &'static [&'static str],
    project: Project,
}

impl Scenario {
    /// Prepares a project from `manifest`, and keeps its state as that before the command.
    pub fn new(name: &'static str, args: &'static [&'static str], project: Project) -> Self {
        std::fs::create_dir_all(&project.store).unwrap();
        for part in ["project", "store"] {
            ok(Command::new("cp")
                .arg("-a")
                .arg(project.scratch.join(part))
                .arg(project.scratch.join(&format!("{part}-before"))));
        }
        Scenario { name, args, project }
    }

    /// Restores the state before the command.
    fn restore(&self) {
        // An environment changes nothing in the store, which holds a whole Python.
        let parts: &[&str] = if self.name == "venv" { &["project"] } else { &["project", "store"] };
        for part in parts {
            let path = self.project.scratch.join(part);
            let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&path).output();
            let _ = std::fs::remove_dir_all(&path);
            ok(Command::new("cp")
                .arg("-a")
                .arg(self.project.scratch.join(&format!("{part}-before")))
                .arg(&path));
        }
    }

    /// Runs the command under strace with these options.
    fn traced(&self, options: &[&str]) -> Output {
        let inner = self.project.cotter(self.args);
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq"])
            .args(options)
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .envs(inner.get_envs().filter_map(|(k, v)| Some((k, v?))))
            // With one worker, the n-th call is the same in each run.
            .env("COTTER_JOBS", "1")
            .current_dir(self.project.dir());
        command.output().unwrap()
    }

    /// Returns how many calls of each sort the busiest thread makes.
    fn calls(&self) -> BTreeMap<&'static str, usize> {
        let mut out = BTreeMap::new();
        for (sort, calls) in CALLS {
            self.restore();
            let log = self.project.scratch.join("log");
            let traced =
                self.traced(&["-o", log.to_str().unwrap(), "-e", &format!("trace={calls}")]);
            assert!(traced.status.success(), "{}: {}", self.name, text(&traced));
            let mut by_thread: BTreeMap<String, usize> = BTreeMap::new();
            for line in
                std::fs::read_to_string(&log).unwrap().lines().filter(|l| !l.contains("resumed>"))
            {
                *by_thread
                    .entry(line.split(' ').next().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
            out.insert(sort, by_thread.values().copied().max().unwrap_or(0));
        }
        out
    }

    /// What the command must have achieved in the end.
    fn state(&self) -> State {
        let lock =
            std::fs::read_to_string(self.project.dir().join("toolchains.lock")).unwrap_or_default();
        let mut files = BTreeMap::new();
        let mut todo = vec![self.project.dir()];
        while let Some(dir) = todo.pop() {
            for name in names(&dir) {
                let path = dir.join(name);
                if path.is_dir() {
                    todo.push(path);
                } else {
                    files.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        (lock, self.project.stored("store"), files)
    }

    /// Lets the n-th call of a sort fail for every n, or for some of them.
    pub fn disturb(&self, every: bool) {
        self.restore();
        self.project.ok(self.args);
        let right = self.state();
        let mut random = Random::new();
        let (mut runs, mut failed) = (0, 0);
        for (sort, count) in self.calls() {
            let calls = CALLS.iter().find(|c| c.0 == sort).unwrap().1;
            let all: Vec<(usize, &str)> =
                (1..=count).flat_map(|n| ERRORS.map(|error| (n, error))).collect();
            let chosen: Vec<(usize, &str)> = if every {
                all
            } else {
                let mut next = || random.below(all.len() as u64) as usize;
                (0..all.len().min(4)).map(|_| all[next()]).collect()
            };
            for (n, error) in chosen {
                let what = format!("{}: {error} for {sort} number {n}", self.name);
                self.restore();
                let output = self.traced(&[
                    "-o",
                    "/dev/null",
                    "-e",
                    &format!("trace={calls}"),
                    "-e",
                    &format!("inject={calls}:error={error}:when={n}"),
                ]);
                runs += 1;
                failed += u32::from(!output.status.success());
                let said = text(&output);
                assert_eq!(output.status.signal(), None, "{what}: {said}");
                assert!(
                    TOLD.contains(&output.status.code().unwrap()),
                    "{what}: {}: {said}",
                    output.status
                );
                assert!(!said.contains("panicked"), "{what}: {said}");
                self.is_right_after(&format!("{what}: {said}"), &right);
            }
        }
        println!("{}: {runs} disturbed runs, of which {failed} failed", self.name);
        assert!(failed > 0, "{}: no run was disturbed", self.name);
    }
}

/// Random numbers that are the same in each run. Source: Marsaglia, "Xorshift RNGs" (2003).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Random(88_172_645_463_325_252)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

impl Scenario {
    /// Kills the command at random moments. Returns how often it was killed before its end.
    pub fn kill(&self, times: u32) -> u32 {
        self.restore();
        let start = std::time::Instant::now();
        self.project.ok(self.args);
        let whole = start.elapsed().as_micros() as u64;
        let right = self.state();
        let mut random = Random::new();
        let mut killed = 0;
        for i in 0..times {
            self.restore();
            let mut command = self.project.cotter(self.args);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.below(whole)));
            let _ = child.kill();
            killed += u32::from(child.wait().unwrap().signal().is_some());
            self.is_right_after(&format!("{} killed for the {i}th time", self.name), &right);
        }
        println!("{}: {times} runs, of which {killed} were killed before their end", self.name);
        killed
    }

    /// Checks that nothing that has a name is half made, and that the next run needs no help and has the right result.
    fn is_right_after(&self, what: &str, right: &State) {
        let verify: &[&str] = match self.name {
            "venv" => &["verify", "--quiet"],
            _ => &["verify", "--deep", "--quiet"],
        };
        if self.name != "repair" {
            self.project.ok(verify);
        }
        let again = self.project.cotter(self.args).output().unwrap();
        assert!(again.status.success(), "{what}, then {}", text(&again));
        let now = self.state();
        assert!(
            now == *right,
            "{what}\nthen {:?}\nexpected {:?}",
            (now.0 == right.0, now.1, now.2.keys()),
            (&right.1, right.2.keys())
        );
        assert_eq!(self.project.stored("staging"), Vec::<String>::new(), "{what}");
        let unfinished = self.project.stored("inputs").into_iter().find(|n| n.starts_with(".new-"));
        assert_eq!(unfinished, None, "{what}");
        self.project.ok(verify);
    }
}

/// Returns a project with two small trees from files of this machine, which have a file in common.
fn small() -> Project {
    let project = Project::new("");
    let mut all = "platforms = [\"x86_64-linux\"]\n".to_owned();
    for name in ["one", "two"] {
        let tar = Tar::new()
            .dir("bin/")
            .program(&format!("bin/{name}"), b"x")
            .symlink("bin/alias", name)
            .file("share/same", &[9; 3000]);
        let bytes = gzip(&tar.finish());
        let path = project.scratch.write(&format!("mirror/{name}.tar.gz"), &bytes);
        let text =
            manifest(&format!("file://{}", path.display()), &bytes, "").replace("thing", name);
        all += text.split_once('\n').unwrap().1;
    }
    project.manifest(&all);
    project
}

fn forget_store(project: &Project) {
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&project.store).output();
    std::fs::remove_dir_all(&project.store).unwrap();
}

pub fn scenarios() -> Vec<Scenario> {
    let locked = || {
        let project = small();
        project.ok(&["setup"]);
        project
    };
    let setup = locked();
    forget_store(&setup);
    let garbage = locked();
    let text = std::fs::read_to_string(garbage.dir().join("toolchains.toml")).unwrap();
    garbage.manifest(text.split("[toolchains.two]").next().unwrap());
    garbage.ok(&["setup"]);
    let damaged = locked();
    let tree: &Path = &damaged.store.join("store").join(&damaged.stored("store")[0]);
    ok(Command::new("chmod").args(["-R", "u+w"]).arg(tree));
    std::fs::write(tree.join("share/same"), [8; 3000]).unwrap();
    vec![
        Scenario::new("setup", &["setup", "--locked"], setup),
        Scenario::new("lock", &["lock"], small()),
        Scenario::new("add", &["add", "app", "--suite", "test"], crate::verbs::project()),
        Scenario::new("gc", &["gc"], garbage),
        Scenario::new("emit", &["emit", "bazel"], crate::emit::project("cpp")),
        Scenario::new("repair", &["verify", "--deep", "--repair"], damaged),
    ]
}

/// Some calls of each sort; the random numbers are the same in each run.
#[test]
fn some_failing_calls_do_no_lasting_harm() {
    scenarios().iter().for_each(|scenario| scenario.disturb(false));
}

#[test]
#[ignore = "full suite: takes many minutes"]
fn every_failing_call_does_no_lasting_harm() {
    let only = std::env::var("COTTER_SCENARIO").ok();
    let all = scenarios();
    let chosen = all.iter().filter(|s| only.as_deref().is_none_or(|name| name == s.name));
    chosen.for_each(|scenario| scenario.disturb(true));
}
