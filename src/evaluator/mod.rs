//! The evaluator: the `nix` of the machine, or one that is a toolchain of the manifest. It resolves
//! flakes and expressions while locking, and builds what no cache has. Only commands are used that
//! are the same from version 2.8 on.
//!
//! An evaluation works in a store of Nix below the store of cotter, one for each project, with settings of its own: neither the
//! machine's store nor anybody's settings count, and no daemon is needed. It runs in a namespace of its own if the machine allows it. What was written there is as
//! hostile as its author: no process outside of such a namespace works in that store.
//!
//! What is to be built is built in the machine's store with the machine's settings, because its substituters,
//! its builders and its sandbox are needed, or, if the evaluator is a toolchain of the manifest, in another store below that of cotter. If that store has a daemon,
//! the evaluation asks it; otherwise the derivation is handed over by a binary cache.

mod confined;
mod process;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use fs_err as fs;
use serde::Deserialize;

use crate::error::{Cause, Error, Result};
use crate::fetch::encode;
use crate::model::{Digest, Platform, StoreName};
use crate::nix::expression::{NixExpression, NixOrigin, is_relative_flake};
use crate::nix::narinfo::{self, PathInfo};
use crate::nix::{registration, store_path};
use crate::python::inputs::is_in_checkout;
use crate::reporter::Reporter;
use crate::sandbox::Quota;
use crate::store::{delete_hostile, use_evaluations};
pub use confined::fault_of_evaluations;
use confined::{Enclosure, is_served};
pub use process::NixCommand;
use process::{Enclosed, words};

/// The least version of Nix, as two numbers.
const LEAST: (u32, u32) = (2, 8);

/// The time in seconds that an evaluation may take, if builds may take longer.
const EVALUATION: u64 = 1800;

/// The settings of the store of Nix that is cotter's own.
const SETTINGS: &str = "build-users-group =
substituters =
use-registries = false
eval-cache = false
sandbox = true
sandbox-fallback = false
";

/// The addresses from which an expression may fetch. Files of the machine are not among them.
const FETCHED_FROM: &str = "https:// http:// ssh:// git+https:// git+ssh:// github: gitlab:";

/// What the evaluator of a run needs to know of the machine and the project.
#[derive(Default)]
pub struct Evaluator {
    /// The value of PATH.
    pub path: OsString,
    /// Its directories, which are searched for `nix`.
    pub directories: Vec<PathBuf>,
    /// The variables that every process of Nix gets.
    pub env: Vec<(String, OsString)>,
    /// The variables by which the machine says where its store is and which settings count.
    pub machine: Vec<(String, OsString)>,
    /// The directory for the stores of Nix that are cotter's own, for settings and roots. It belongs to
    /// the project: what its flakes do there concerns no other.
    pub dir: PathBuf,
    /// The directory of the manifest.
    pub project: PathBuf,
    /// The time in seconds that a build may take.
    pub seconds: u64,
    /// The memory in bytes that an evaluation may use, if the user has said it.
    pub memory: Option<u64>,
    /// Whether the user lets evaluations run in a namespace of their own.
    pub namespace: bool,
    /// Why they do not, once that was tried.
    pub fault: OnceLock<Option<String>>,
    /// Tells that they do not.
    pub reporter: Option<Reporter>,
    /// Whether the network must not be used. Nothing keeps Nix from it, so it is not started then.
    pub offline: bool,
    /// The binary caches of the manifest, from which a build in cotter's own store of Nix takes what it
    /// needs.
    pub caches: Vec<String>,
    /// The keys that may sign what these have.
    pub keys: Vec<String>,
    /// The program of a toolchain of the manifest, once it is made.
    pub toolchain: OnceLock<PathBuf>,
    /// Keeps `gc` from deleting the directory.
    pub used: OnceLock<fs::File>,
    /// Held while something is built: several paths of one closure are asked for at once.
    pub building: Mutex<()>,
}

/// A store of Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The one in which nothing but evaluations work.
    Own,
    /// That of the machine, with the settings of the machine.
    Machine,
    /// The one below cotter's store in which an evaluator of the manifest builds.
    Built,
}

/// The package that an evaluation has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundByNix {
    /// Its path.
    pub path: StoreName,
    /// The derivation that builds it.
    pub derivation: Option<StoreName>,
    /// The reference of the flake with which exactly this is evaluated again.
    pub locked: Option<String>,
}

/// The answer of an evaluation.
#[derive(Deserialize)]
struct Answer {
    path: String,
    derivation: Option<String>,
}

/// The part of what `nix flake metadata` says that all versions have.
#[derive(Deserialize)]
struct Metadata {
    url: String,
}

impl Evaluator {
    /// Finds the package of an expression on a platform. `locked` is a reference to use in place of
    /// that of the flake.
    ///
    /// # Errors
    /// If there is no Nix of version 2.8 or newer, or with what Nix says.
    pub fn evaluate(
        &self,
        expression: &NixExpression,
        locked: Option<&str>,
        platform: Platform,
    ) -> Result<FoundByNix> {
        let build = expression.build;
        let nix = self.program()?;
        let mut locked = locked.map(str::to_owned);
        let mut command = self.command(&nix, self.evaluating(build))?;
        let mut reference = None;
        match &expression.origin {
            NixOrigin::Flake(flake) if is_relative_flake(flake) => {
                let dir = self.project.join(flake);
                self.check_inside(&dir.join("flake.nix"), &format!("{flake}/flake.nix"))?;
                // As a directory of a process, its path may have any characters.
                command.current_dir(dir);
                reference = Some(".".to_owned());
            }
            NixOrigin::Flake(flake) => {
                if locked.is_none() {
                    locked = Some(self.metadata(&nix, &expression.origin, flake)?);
                }
                reference.clone_from(&locked);
            }
            NixOrigin::File(file) => self.check_inside(&self.project.join(file), file)?,
        }
        command.args(["eval", "--json", "--no-write-lock-file", "--option", "system"]);
        command.arg(platform.as_str()).args(["--apply", &expression.function(platform)]);
        let attribute = expression.attribute.as_deref();
        match (reference, &expression.origin) {
            (Some(reference), _) => {
                command.args(["--option", "pure-eval", "true"]);
                command.arg(format!("{reference}#{}", attribute.unwrap_or("default")));
            }
            (None, NixOrigin::File(file) | NixOrigin::Flake(file)) => {
                command.args(["--option", "restrict-eval", "true"]);
                command.args(["--option", "allowed-uris", FETCHED_FROM]);
                // Nix compares real paths with those that it may read.
                let project = self.project.canonicalize().unwrap_or_else(|_| self.project.clone());
                let mut shown = OsString::from("project=");
                shown.push(&project);
                command.arg("-I").arg(shown).args(["--argstr", "system", platform.as_str()]);
                command.arg("--file").arg(project.join(file)).arg(attribute.unwrap_or(""));
            }
        }
        let seconds = if build { self.seconds } else { self.seconds.min(EVALUATION) };
        let what = format!("{expression} for {platform}");
        let is_handed_over = build && self.evaluating(build) == Place::Own && self.is_confined();
        let text = self.evaluation(command, &expression.origin, build, seconds)?.text(&|said| {
            let needs_build = said.contains("allow-import-from-derivation");
            let error = Error::user(format!("Nix can't evaluate {what}")).because(said);
            match is_handed_over && needs_build {
                true => error.hint("what is built during an evaluation needs the daemon of Nix, or COTTER_NIX_NAMESPACE=0, with which an evaluation has all your rights"),
                false => error,
            }
        })?;
        let odd =
            |why: String| Error::user(format!("Nix has found no package in {what}")).because(why);
        let answer: Answer = serde_json::from_str(&text).map_err(|e| odd(e.to_string()))?;
        let parse = |path: &str| store_path::parse(path).map_err(odd);
        let derivation = answer.derivation.as_deref().map(parse).transpose()?;
        Ok(FoundByNix { path: parse(&answer.path)?, derivation, locked })
    }

    /// Returns the reference of a flake with which exactly the present one is meant.
    fn metadata(&self, nix: &Path, origin: &NixOrigin, flake: &str) -> Result<String> {
        let mut command = self.command(nix, Place::Own)?;
        command.args(["flake", "metadata", "--json", "--no-write-lock-file", flake]);
        let seconds = self.seconds.min(EVALUATION);
        let text = self.evaluation(command, origin, false, seconds)?.text(&|said| {
            Error::user(format!("Nix can't fetch the flake {flake}")).because(said)
        })?;
        let metadata: Metadata = serde_json::from_str(&text).map_err(|e| {
            Error::user(format!("Nix does not say what the flake {flake} is")).cause(&e)
        })?;
        NixExpression::of_flake(&metadata.url).map_err(|why| {
            Error::user(format!("the flake {flake} can't be pinned")).because(why)
        })?;
        Ok(metadata.url)
    }

    /// Whether evaluations run in a namespace of their own. If not, that is told once.
    fn is_confined(&self) -> bool {
        let fault = self.fault.get_or_init(|| {
            let fault = match self.namespace {
                true => fault_of_evaluations(&self.dir),
                false => Some("COTTER_NIX_NAMESPACE is 0".to_owned()),
            };
            if let (Some(why), Some(reporter)) = (&fault, &self.reporter) {
                reporter.warn(&format!(
                    "Nix evaluates with all your rights, and not in a namespace of its own: {why}"
                ));
            }
            fault
        });
        fault.is_none()
    }

    /// Whether the store of the machine is used, and asked through a daemon.
    fn has_daemon(&self) -> bool {
        self.toolchain.get().is_none() && is_served(&self.machine)
    }

    /// Puts a command into a namespace of its own.
    fn enclosed(
        &self,
        command: &Command,
        origin: Option<&NixOrigin>,
        daemon: bool,
    ) -> Result<Enclosed> {
        let limits = Quota::of_builds(self.seconds);
        let enclosure = Enclosure {
            dir: &self.dir,
            own: &self.own_dir(),
            project: &self.project,
            toolchain: self.toolchain.get().map(PathBuf::as_path),
            env: &self.env,
            directories: &self.directories,
            limits: self.memory.map_or(limits, |memory| limits.with_memory(memory)),
        };
        enclosure.enclose(command, origin, daemon)
    }

    /// Returns the store in which something is evaluated.
    fn evaluating(&self, build: bool) -> Place {
        match build && (!self.is_confined() || self.has_daemon()) {
            true => self.building(),
            false => Place::Own,
        }
    }

    /// Returns the store in which something is built.
    fn building(&self) -> Place {
        if self.toolchain.get().is_some() { Place::Built } else { Place::Machine }
    }

    /// Returns a command that does what the author of a flake or of a file likes.
    fn evaluation(
        &self,
        command: Command,
        origin: &NixOrigin,
        build: bool,
        seconds: u64,
    ) -> Result<NixCommand> {
        if !self.is_confined() {
            return Ok(NixCommand::new(command, seconds));
        }
        let confined = self.enclosed(&command, Some(origin), build && self.has_daemon())?;
        Ok(NixCommand::confined(command, confined, seconds))
    }

    /// Hands a derivation and all that it needs over from the store in which it was evaluated to the one in
    /// which it is built, by a binary cache: that store is as hostile as what was evaluated in it. Nix
    /// takes from it what nobody has signed only if its name follows from its content, as those of
    /// derivations and sources do.
    fn hand_over(&self, nix: &Path, derivation: &StoreName) -> Result<()> {
        let full = store_path::full(derivation);
        let failed =
            |said: String| Error::build(format!("Nix can't hand over {full}")).because(said);
        let cache = self.own_dir().join(format!("handed-{}", std::process::id()));
        let address = format!("file://{}", encode(&cache.display().to_string()));
        let mut give = self.command(nix, Place::Own)?;
        give.args(["copy", "--derivation", &full, "--to", &format!("{address}?compression=none")]);
        let confined = self.enclosed(&give, None, false)?;
        let given = NixCommand::confined(give, confined, EVALUATION).text(&failed);
        let mut take = self.command(nix, self.building())?;
        take.args(["copy", "--derivation", &full, "--from", &address]);
        take.args(["--option", "require-sigs", "true"]);
        let taken = given.and_then(|_| NixCommand::new(take, EVALUATION).text(&failed)).map(drop);
        delete_hostile(&cache).map_err(|e| Error::at("delete", &cache, e))?;
        taken
    }

    /// Builds an output of a derivation in the sandbox of Nix, or has Nix substitute it, and keeps it
    /// from Nix's garbage collection. Returns the descriptions of its path and of all to which it refers.
    ///
    /// # Errors
    /// With what Nix says, if it cannot be built.
    pub fn realise(&self, derivation: &StoreName, top: &StoreName) -> Result<Vec<PathInfo>> {
        let _alone = self.building.lock().expect("no panic holds it");
        let nix = self.program()?.with_file_name("nix-store");
        let roots = self.dir.join("roots");
        fs::create_dir_all(&roots).map_err(|e| Error::at("create", &roots, e))?;
        if self.evaluating(true) == Place::Own {
            self.hand_over(&nix.with_file_name("nix"), derivation)?;
        }
        let mut command = self.command(&nix, self.building())?;
        command.arg("--realise").arg(store_path::full(derivation));
        // Whatever the settings of the machine are, a builder is confined, or nothing is built.
        command.args(["--option", "sandbox", "true", "--option", "sandbox-fallback", "false"]);
        if self.toolchain.get().is_some() {
            command.args(["--option", "substituters", &self.caches.join(" ")]);
            command.args(["--option", "trusted-public-keys", &self.keys.join(" ")]);
        }
        command.arg("--add-root").arg(roots.join(top.as_str())).arg("--indirect");
        let printed = NixCommand::new(command, self.seconds).text(&|said| {
            Error::build(format!("Nix can't build {}", store_path::full(derivation)))
                .because(said)
                .hint("the last lines are those of its builder; `nix log` shows all of them")
        })?;
        drop(printed);
        let all = self.query(&nix, "--requisites", top)?;
        let mut command = self.command(&nix, self.building())?;
        command.arg("--dump-db").args(all.lines());
        let described = NixCommand::new(command, EVALUATION).text(&|said| {
            Error::build(format!("Nix does not describe {}", store_path::full(top))).because(said)
        })?;
        let read = registration::parse(&described).map_err(|why| odd_answer("--dump-db", why))?;
        // The lock says that they were built, and by which derivation the package is.
        Ok(read.into_iter().map(|info| PathInfo { deriver: None, ca: None, ..info }).collect())
    }

    /// Returns the NAR hash of a path, if the store in which something is built has it.
    ///
    /// # Errors
    /// If there is no Nix of version 2.8 or newer, or if its answer is not understood.
    pub fn hash(&self, path: &StoreName) -> Result<Option<Digest>> {
        let nix = self.program()?.with_file_name("nix-store");
        let Ok(text) = self.query(&nix, "--hash", path) else { return Ok(None) };
        narinfo::hash(text.trim()).map(Some).map_err(|why| odd_answer("--query --hash", why))
    }

    fn query(&self, nix: &Path, what: &str, path: &StoreName) -> Result<String> {
        let mut command = self.command(nix, self.building())?;
        command.args(["--query", what]).arg(store_path::full(path));
        NixCommand::new(command, EVALUATION).text(&|said| {
            Error::build(format!("Nix does not describe {}", store_path::full(path))).because(said)
        })
    }

    /// Reads the NAR of a path that was realised.
    ///
    /// # Errors
    /// If Nix does not have it, and those of `take`.
    pub fn dump(
        &self,
        path: &StoreName,
        take: impl FnOnce(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut command = self.command(&self.program()?, self.building())?;
        command.args(["store", "dump-path"]).arg(store_path::full(path));
        let ran = NixCommand::new(command, self.seconds).run(take)?;
        let said = words(&ran.said);
        match ran.taken {
            taken if ran.status.success() => taken,
            Err(e) => Err(e.because(said)),
            Ok(()) => {
                Err(Error::build(format!("Nix does not give {}", store_path::full(path)))
                    .because(said))
            }
        }
    }

    /// Refuses a file that is not in the checkout of the project.
    fn check_inside(&self, path: &Path, shown: &str) -> Result<()> {
        if !path.is_file() {
            return Err(Error::user(format!("there is no {shown}"))
                .hint("name it relative to the manifest"));
        }
        if !is_in_checkout(path, &self.project) {
            return Err(Error::user(format!(
                "{shown} does not lie in the checkout of the project"
            )));
        }
        Ok(())
    }

    /// Returns the program `nix`, of a version that is fit.
    fn program(&self) -> Result<PathBuf> {
        if self.offline {
            return Err(Error::network(
                "--offline forbids to ask Nix, which uses the network as it likes",
            )
            .with_cause(Cause::Offline)
            .hint("run the same command once without --offline"));
        }
        let advice = |error: Error| {
            error
                .hint("install Nix 2.8 or newer, or name a toolchain that has it: [nix] evaluator = \"NAME\"")
                .hint("a lock that fits needs no Nix; `path = \"/nix/store/...\"` never does")
        };
        let own = self.toolchain.get().cloned();
        let is_program = |path: &PathBuf| path.is_file();
        let find = || self.directories.iter().map(|dir| dir.join("nix")).find(is_program);
        let Some(nix) = own.or_else(find) else {
            return Err(advice(
                Error::user("there is no Nix on this machine").because("PATH has no program nix"),
            ));
        };
        let nix = real_name(&nix);
        let mut command = self.command(&nix, Place::Own)?;
        command.arg("--version");
        let shown = nix.display().to_string();
        let said = NixCommand::new(command, 60)
            .text(&|said| Error::user(format!("{shown} does not tell its version")).because(said))
            .map_err(advice)?;
        match version(&said) {
            Some(version) if version >= LEAST => Ok(nix),
            got => {
                let got = match got {
                    Some((major, minor)) => format!("{major}.{minor}"),
                    None => format!("{:?}", said.lines().next().unwrap_or_default()),
                };
                Err(advice(
                    Error::user(format!("{shown} can't be used")).because(format!(
                        "expected Nix {}.{} or newer, got {got}",
                        LEAST.0, LEAST.1
                    )),
                ))
            }
        }
    }

    /// Returns the directory of what evaluations write.
    fn own_dir(&self) -> PathBuf {
        // What evaluations write within a namespace is not believed outside of one.
        self.dir.join(if self.is_confined() { "confined" } else { "open" })
    }

    /// Returns a command of Nix that works in a store.
    fn command(&self, program: &Path, place: Place) -> Result<Command> {
        if self.used.get().is_none() {
            let _ = self.used.set(use_evaluations(&self.dir, &self.project)?);
        }
        let etc = self.dir.join("etc");
        fs::create_dir_all(&etc).map_err(|e| Error::at("create", &etc, e))?;
        let mut command = Command::new(program);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("PATH", &self.path).env("LC_ALL", "C.UTF-8").env("NIX_PATH", "");
        let dir = match place {
            Place::Machine => self.dir.clone(),
            Place::Built => self.dir.join("built"),
            Place::Own => self.own_dir(),
        };
        fs::create_dir_all(&dir).map_err(|e| Error::at("create", &dir, e))?;
        command.current_dir(&dir);
        if place == Place::Machine {
            command.envs(self.machine.iter().map(|(name, value)| (name, value)));
        } else {
            let settings = etc.join("nix.conf");
            if fs::read_to_string(&settings).ok().as_deref() != Some(SETTINGS) {
                let new = etc.join(format!("nix.conf.{}", std::process::id()));
                fs::write(&new, SETTINGS)
                    .and_then(|()| fs::rename(&new, &settings))
                    .map_err(|e| Error::at("write", &settings, e))?;
            }
            command.env("NIX_CONF_DIR", &etc).env("NIX_USER_CONF_FILES", "");
            command.env("XDG_CACHE_HOME", dir.join("cache"));
            // What the user once allowed for flakes lies below the first, and settings below the second.
            command.env("XDG_DATA_HOME", dir.join("data"));
            command.env("XDG_CONFIG_HOME", &etc);
            command.arg("--store").arg(dir.join("root"));
        }
        command.args(["--option", "extra-experimental-features", "nix-command flakes"]);
        let may = if place == Place::Own { "false" } else { "true" };
        command.args(["--option", "allow-import-from-derivation", may]);
        Ok(command)
    }
}

/// Returns the path of the program without links, if it has the same name there: links may lead
/// through places that an evaluation does not see.
fn real_name(nix: &Path) -> PathBuf {
    let real = nix.canonicalize().ok().filter(|real| real.file_name() == nix.file_name());
    real.unwrap_or_else(|| nix.to_owned())
}

fn odd_answer(what: &str, why: String) -> Error {
    Error::build(format!("the answer of nix-store {what} is not understood")).because(why)
}

/// Returns the version in what `nix --version` prints: the first two numbers of its last word.
fn version(said: &str) -> Option<(u32, u32)> {
    let line = said.lines().find(|line| line.starts_with("nix "))?;
    let mut numbers = line.split_whitespace().last()?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_the_last_word() {
        for (said, expected) in [
            ("nix (Nix) 2.8.0\n", Some((2, 8))),
            ("warning: x\nnix (Nix) 2.34pre20260101_abc\n", Some((2, 34))),
            ("nix (Determinate Nix 3.6.2) 2.29.0\n", Some((2, 29))),
            ("nix (Lix, like Nix) 2.93.0\n", Some((2, 93))),
            ("nix 3\n", None),
            ("hello 2.12\n", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }
}
