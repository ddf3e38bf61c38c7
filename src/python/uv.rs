//! Resolves requirements with a pinned uv. Source: uv's documentation of `uv pip compile` and `uv
//! export`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use fs_err as fs;

use super::dependency::RequiresDist;
use super::inputs::{self, Paths};
use super::named_files::{KnownFile, without_files};
use super::requirement_files::{self, PylockEntry, PylockFile, pins};
use super::requirement_lines::{NamedFile, is_list};
use super::target::WheelTarget;
use super::uv_lock;
use super::uv_words::{asked_again, in_our_words, wants_source};
use crate::error::{Cause, Error, ErrorKind, Result};
use crate::fetch::{Http, read_list};
use crate::manifest::Requirements;
use crate::model::{Digest, Location, Platform, normalize_project, redact};
use crate::sandbox::Quota;

/// The file of the hashed requirements for all platforms, in the scratch directory.
pub(super) const UNIVERSAL: &str = "universal.txt";
/// The greatest number of wheels that a message names.
const MOST_NAMED: usize = 5;
/// The file of constraints, in the scratch directory.
pub(super) const CONSTRAINTS: &str = "constraints.txt";

/// The oldest version of uv whose answers are understood. Older ones print no `pylock.toml`, or
/// print it with files for other interpreters.
pub const OLDEST: &str = "0.9.0";

/// Whether a version of uv is at least the oldest whose answers are understood.
pub fn is_recent(version: &str) -> bool {
    let parsed = |text: &str| pep440_rs::Version::from_str(text).ok();
    parsed(version).zip(parsed(OLDEST)).is_none_or(|(version, oldest)| version >= oldest)
}

/// A resolution: its requirements and its tools.
pub struct SetResolution<'a> {
    /// The set.
    pub set: &'a Requirements,
    /// The path of the program uv.
    pub uv: &'a Path,
    /// The path of the interpreter.
    pub python: &'a Path,
    /// The directory of the manifest.
    pub dir: &'a Path,
    /// A directory for temporary files.
    pub scratch: &'a Path,
    /// The directory of uv's cache.
    pub cache: &'a Path,
    /// The package indexes in use, in order.
    pub indexes: &'a [String],
    /// The text of the existing file of hashed requirements. Its versions are kept if they still
    /// satisfy the requirements.
    pub preferred: Option<&'a str>,
    /// Whether uv asks the indexes even for what it knows: an upgrade takes what there is now.
    pub refresh: bool,
    /// Whether uv must not use the network.
    pub offline: bool,
    /// The client, which checks what uv could not fetch.
    pub http: &'a Http,
    /// The environment variables for uv that define proxies, certificates and credentials.
    pub env: &'a [(String, OsString)],
    /// The platforms, each with its newest glibc, such as `2.36`.
    pub platforms: &'a [(Platform, String)],
    /// How much of the machine a resolution that may run code of packages may use.
    pub limits: Quota,
    /// The files that the set names in place of releases.
    pub files: &'a [KnownFile],
    /// Results of commands that ran in the sandbox, together.
    pub confined: OnceCell<Confined>,
}

/// What the commands of a resolution in the sandbox have printed.
#[derive(Debug)]
pub struct Confined {
    /// The hashed requirements for all platforms.
    pub universal: String,
    /// The warnings of the first command.
    pub warnings: Vec<String>,
    /// For each platform, the pins and the `pylock.toml`.
    pub platforms: BTreeMap<Platform, (String, String)>,
}

/// One file that a platform needs.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The normalised project.
    pub project: String,
    /// Its version.
    pub version: String,
    /// The file's name.
    pub file: String,
    /// Its digest, if the index states it.
    pub sha256: Option<Digest>,
    /// Its length in bytes, if the index states it.
    pub size: Option<u64>,
    /// The normalised extras that are asked for.
    pub extras: BTreeSet<String>,
    /// Where the file is, unless it is one of the index.
    pub location: Option<Location>,
}

impl SetResolution<'_> {
    /// Returns the hashed requirements for all platforms, in the format that pip reads, and uv's
    /// warnings.
    ///
    /// # Errors
    /// If the requirements cannot be satisfied. The message contains uv's explanation.
    pub fn universal(&self) -> Result<(String, Vec<String>)> {
        self.copy_project()?;
        self.copy_files()?;
        self.name_files()?;
        let out = self.scratch.join(UNIVERSAL);
        if let Some(text) = self.preferred {
            fs::write(&out, without_files(text)).map_err(|e| Error::at("write", &out, e))?;
        }
        if self.may_run_code() {
            let confined = self.in_sandbox()?;
            let result = (confined.universal.clone(), confined.warnings.clone());
            let _ = self.confined.set(confined);
            return Ok(result);
        }
        let (_, warnings) = self.run(self.universal_command()?)?;
        let text = fs::read_to_string(&out).map_err(|e| Error::at("read", &out, e))?;
        let text = text.replace(&format!("{}/", self.scratch.display()), "");
        Ok((self.with_files(self.with_names(text)), warnings))
    }

    /// Returns a text in which the lists that were made of other files have the names of those files.
    /// uv annotates the origin of each requirement, which must not name a file of this run.
    pub(super) fn with_names(&self, text: String) -> String {
        let converted = self.set.inputs.iter().filter(|input| !is_list(Path::new(&input.value)));
        converted.fold(text, |text, input| {
            let made = list_of(&input.value);
            let ends = |rest: &str| !rest.starts_with(|c: char| !c.is_whitespace() && c != ',');
            let mut parts = text.split(made.as_str());
            let mut out = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let is_origin = out.ends_with("-r ") && ends(part);
                out.push_str(if is_origin { &input.value } else { &made });
                out.push_str(part);
            }
            out
        })
    }

    /// Selects from the universal resolution the files for one platform whose newest glibc is
    /// `glibc`, such as `2.36`. What uv selects is checked: `target` must be able to load it.
    ///
    /// # Errors
    /// If a package has no compatible file.
    pub fn for_platform(
        &self,
        target: &WheelTarget,
        glibc: &str,
        universal: &str,
    ) -> Result<Vec<Chosen>> {
        let platform = target.platform;
        let (pinned, text) = match self.confined.get() {
            Some(confined) => confined.platforms.get(&platform).cloned().unwrap_or_default(),
            None => {
                let constraints = self.scratch.join(CONSTRAINTS);
                fs::write(&constraints, without_files(universal))
                    .map_err(|e| Error::at("write", &constraints, e))?;
                let [pinned, pylock] = self.platform_commands(platform, glibc, CONSTRAINTS)?;
                (self.run(pinned)?.0, self.run(pylock)?.0)
            }
        };
        let mut pinned = pins(&pinned);
        let mut out = vec![];
        for entry in requirement_files::pylock(&text, "what uv printed")? {
            if let Some(known) = entry.archive.as_deref().and_then(|path| self.file_at(path)) {
                let file = known.line.file.target.file_name();
                out.push(Chosen {
                    version: entry.version.clone().unwrap_or_default(),
                    sha256: Some(known.sha256),
                    size: Some(known.size),
                    file,
                    extras: known.line.file.extras.iter().map(|e| normalize_project(e)).collect(),
                    project: entry.name,
                    location: Some(known.location.clone()),
                });
                continue;
            }
            let (file, from_source) = self.choose(&entry, target)?;
            let name = file
                .file_name()
                .ok_or_else(|| Error::user(format!("{} has a file without a name", entry.name)))?;
            if !entry.has_file(&name) {
                return Err(self.contradiction(&entry, &name));
            }
            if from_source && !self.may_build(&entry.name) {
                return Err(self
                    .no_wheel(&entry, target)
                    .hint(self.build_hint(std::slice::from_ref(&entry.name))));
            }
            out.push(Chosen {
                version: entry.version.clone().unwrap_or_default(),
                sha256: file.sha256(),
                size: file.size(),
                file: name,
                extras: pinned.remove(&entry.name).unwrap_or_default().extras,
                project: entry.name,
                location: None,
            });
        }
        Ok(out)
    }

    /// Returns the requirements that take the place of all others of their project.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn overrides(&self) -> Result<Vec<RequiresDist>> {
        let [_, overrides] = inputs::uv_settings(self.set, self.dir)?;
        Ok(overrides)
    }

    /// Returns the error for a file of another project or version than uv states. In the sandbox,
    /// code of a package may have written what uv is to have printed.
    fn contradiction(&self, entry: &PylockEntry, file: &str) -> Error {
        let version = entry.version.as_deref().unwrap_or("no version");
        Error::user(format!("the resolution of [requirements.{}] contradicts itself", self.set.name))
            .located(self.set.inputs_place().clone())
            .because(format!("expected a file of {} {version}, got {file}", entry.name))
            .hint("leave the package out, or name another version of it: its files, or code that was built while locking, say something else than the index")
    }

    /// Returns the error for a package without a wheel that an interpreter can load.
    fn no_wheel(&self, entry: &PylockEntry, target: &WheelTarget) -> Error {
        let version = entry.version.as_deref().unwrap_or("");
        let error =
            Error::user(format!("{} {version} has no wheel for {}", entry.name, target.platform))
                .located(self.set.inputs_place().clone())
                .because(format!("expected a wheel for {}", target.shown()));
        let names: Vec<String> =
            entry.wheels.iter().filter_map(PylockFile::file_name).take(MOST_NAMED).collect();
        match names.as_slice() {
            [] => error,
            names => error.because(format!("the index has {}", names.join(", "))),
        }
    }

    /// Whether a package may be built from source.
    pub fn may_build(&self, project: &str) -> bool {
        self.set.build.iter().any(|b| b == "*" || b == project)
    }

    /// Returns the most suitable file of a package, and whether it is a source distribution.
    fn choose<'e>(
        &self,
        entry: &'e PylockEntry,
        target: &WheelTarget,
    ) -> Result<(&'e PylockFile, bool)> {
        let ranked = entry.wheels.iter().filter_map(|w| Some((target.rank(&w.file_name()?)?, w)));
        if let Some((_, wheel)) = ranked.max_by(|a, b| a.0.cmp(&b.0)) {
            return Ok((wheel, false));
        }
        if let Some(sdist) = &entry.sdist {
            return Ok((sdist, true));
        }
        if !entry.wheels.is_empty() {
            return Err(self.no_wheel(entry, target).hint(format!(
                "require a version of {} that has one, or leave the platform out: platforms = [...]",
                entry.name
            )));
        }
        Err(Error::user(format!("{} is no package of an index", entry.name))
            .located(self.set.inputs_place().clone())
            .because("it has neither wheels nor a source distribution there: a lock names files of an index by hash, not directories and repositories"))
    }

    /// Whether uv may run code of packages to learn what they require: that of source
    /// distributions. It then runs in the sandbox.
    fn may_run_code(&self) -> bool {
        !self.set.build.is_empty()
    }

    /// Returns the command that resolves for all platforms at once.
    pub(super) fn universal_command(&self) -> Result<Command> {
        let mut command = self.compile()?;
        command
            .args([
                "--universal",
                "--generate-hashes",
                "--custom-compile-command",
                requirement_files::COMMAND,
                "--output-file",
            ])
            .arg(self.scratch.join(UNIVERSAL));
        Ok(command)
    }

    /// Returns the commands that select the files for one platform, within the constraints of a
    /// file in the scratch directory: one prints pins with extras, the other a `pylock.toml`.
    pub(super) fn platform_commands(
        &self,
        platform: Platform,
        glibc: &str,
        constraints: &str,
    ) -> Result<[Command; 2]> {
        let tag = format!("{}-manylinux_2_{}", platform.cpu(), known_glibc(glibc));
        let compile = || -> Result<Command> {
            let mut command = self.compile()?;
            command
                .args(["--quiet", "--python-platform", &tag, "--no-header", "--constraint"])
                .arg(self.scratch.join(constraints));
            Ok(command)
        };
        let mut pinned = compile()?;
        pinned.args(["--no-annotate", "--no-strip-extras"]);
        let mut pylock = compile()?;
        pylock.args(["--format", "pylock.toml"]);
        Ok([pinned, pylock])
    }

    fn compile(&self) -> Result<Command> {
        let mut command = Command::new(self.uv);
        command
            .args(["pip", "compile", "--no-config", "--no-python-downloads", "--python"])
            .arg(self.python);
        for input in &self.set.inputs {
            command.arg(self.input(&input.value)?);
        }
        for file in &self.set.constraints {
            command.arg("--constraint").arg(&file.value);
        }
        let [constraints, overrides] = inputs::uv_settings(self.set, self.dir)?;
        for (option, list) in [("--constraint", constraints), ("--override", overrides)] {
            if list.is_empty() {
                continue;
            }
            let file = self.scratch.join(format!("tool-uv{option}.txt"));
            let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
            fs::write(&file, lines.join("\n")).map_err(|e| Error::at("write", &file, e))?;
            command.arg(option).arg(file);
        }
        for extra in &self.set.extras {
            command.args(["--extra", extra]);
        }
        for group in &self.set.groups {
            command.args(["--group", group]);
        }
        if let Some(time) = &self.set.exclude_newer {
            command.args(["--exclude-newer", time]);
        }
        // To learn the requirements of a source distribution, uv may run its code. This is allowed
        // only for the packages that are named, and in the sandbox.
        if !self.set.build.iter().any(|b| b == "*") {
            command.args(["--only-binary", ":all:"]);
            for name in &self.set.build {
                command.args(["--no-binary", name]);
            }
        }
        if !self.set.build.is_empty() && !self.set.build_requires.is_empty() {
            let file = self.scratch.join("build-constraints.txt");
            fs::write(&file, self.set.build_requires.join("\n"))
                .map_err(|e| Error::at("write", &file, e))?;
            command.arg("--build-constraint").arg(file);
        }
        let network = [(self.offline, "--offline"), (self.refresh && !self.offline, "--refresh")];
        command.args(network.into_iter().filter_map(|(is_wanted, flag)| is_wanted.then_some(flag)));
        Ok(command)
    }

    /// Returns an input in the form that `uv pip compile` accepts: lock files of other formats are
    /// converted to lists of pins.
    fn input(&self, file: &str) -> Result<PathBuf> {
        let path = self.dir.join(file);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let made = self.scratch.join(list_of(file));
        if name == "uv.lock" {
            let mut command = Command::new(self.uv);
            command.args([
                "export",
                "--quiet",
                "--frozen",
                "--no-default-groups",
                "--no-config",
                "--no-emit-project",
                "--no-annotate",
                "--no-header",
                "--no-python-downloads",
                "--python",
            ]);
            command
                .arg(self.python)
                .arg("--project")
                .arg(self.copied_lock(&path, file)?)
                .args(["--format", "requirements-txt"]);
            // The groups of a set are those of the project beside the manifest.
            if path.parent() == Some(self.dir) {
                command.args(self.set.groups.iter().flat_map(|group| ["--group", group]));
            }
            let (text, _) = self.run(command)?;
            let lock = read_list(&path).map_err(|e| Error::at("read", &path, e))?;
            let lock_dir = path.parent().unwrap_or(self.dir);
            let line = |of: &NamedFile| self.file_line(&uv_lock::beside(of, lock_dir, self.dir));
            let text = inputs::exported(&text, &lock, file, &line)?;
            fs::write(&made, text).map_err(|e| Error::at("write", &made, e))?;
            return Ok(made);
        }
        if name.starts_with("pylock.") || name == "pylock.toml" {
            let text = read_list(&path)
                .map_err(|e| Error::user(format!("can't read {file}")).cause(&e))?;
            let entries = requirement_files::pylock(&text, file)?;
            inputs::check_entries(&entries, &text, file)?;
            fs::write(&made, requirement_files::requirements_of(&entries))
                .map_err(|e| Error::at("write", &made, e))?;
            return Ok(made);
        }
        let copy = self.copy_of(&path)?;
        let beside = |constraints: &Path| self.constraints_in(constraints, &copy);
        let paths = Paths { constraints: &beside, file: &|file| self.file_line(file) };
        if let Some(text) = inputs::expanded(&path, self.dir, &paths)? {
            if copy == path {
                fs::write(&made, text).map_err(|e| Error::at("write", &made, e))?;
                return Ok(made);
            }
            fs::write(&copy, text).map_err(|e| Error::at("write", &copy, e))?;
        }
        Ok(PathBuf::from(file))
    }

    /// Runs uv in the copy of the project's directory. Returns its output and its warnings.
    fn run(&self, mut command: Command) -> Result<(String, Vec<String>)> {
        command
            .current_dir(self.place())
            .env_clear()
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        command
            .env("UV_CACHE_DIR", self.cache)
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("COLUMNS", "200");
        // uv asks further indexes first, and the default one last.
        if let Some((last, others)) = self.indexes.split_last() {
            // Pass the address in the environment, because arguments are visible to all users.
            command.env("UV_DEFAULT_INDEX", last);
            if !others.is_empty() {
                command.env("UV_INDEX", others.join(" "));
            }
        }
        let output = command
            .output()
            .map_err(|e| Error::build(format!("can't start {}", self.uv.display())).cause(&e))?;
        let said = self.redacted(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(if self.blames_network(&command, &output.status, &said) {
                self.failure(ErrorKind::Network, &said)
            } else {
                self.failure(ErrorKind::User, &said)
            });
        }
        let warnings =
            said.lines().filter_map(|l| l.strip_prefix("warning: ")).map(str::to_owned).collect();
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), warnings))
    }

    /// Whether a command of uv failed because of the network, or because of a server. uv exits with
    /// status 1 if it cannot resolve or fetch something, and with status 2 for all other failures,
    /// including an index that does not answer.
    fn blames_network(
        &self,
        command: &Command,
        status: &std::process::ExitStatus,
        said: &str,
    ) -> bool {
        match status.code() {
            // Without network access, the failure must have another cause.
            Some(2) if self.offline => false,
            Some(2) => {
                let mut again = Command::new(command.get_program());
                let args = command.get_args().filter(|arg| *arg != "--refresh");
                again.args(args).arg("--offline").stdin(Stdio::null());
                again.current_dir(self.place()).env_clear();
                again.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
                again.output().is_ok_and(|output| output.status.code() != Some(2))
            }
            _ => {
                let mut named = asked_again(said, self.indexes).into_iter();
                self.offline || named.any(|url| self.is_not_served(url))
            }
        }
    }

    /// Whether an address that uv names cannot be fetched. A response that asks for credentials
    /// proves nothing, because uv does not report the credentials that it used.
    fn is_not_served(&self, url: &str) -> bool {
        let Err(error) = self.http.get(url, 0) else { return false };
        match error.reason() {
            Some(Cause::Unreachable | Cause::BrokenOff { .. }) => true,
            Some(Cause::Http { status, .. }) => matches!(status, 404 | 410 | 500..),
            _ => false,
        }
    }

    /// Returns the error for a failed command of uv with the output `said`.
    pub(super) fn failure(&self, kind: ErrorKind, said: &str) -> Error {
        let set = format!("[requirements.{}]", self.set.name);
        let error = match kind {
            ErrorKind::Network if self.offline => {
                Error::network(format!("uv can't resolve {set} with --offline"))
                    .with_cause(Cause::Offline)
                    .hint("run the same command once without --offline")
            }
            ErrorKind::Network => Error::network("uv can't ask the package index"),
            _ => Error::user(format!("uv can't resolve {set}")),
        };
        let error = error.located(self.set.inputs_place().clone());
        let said = self.with_files(said.to_owned());
        let sources = wants_source(&said);
        // A hint that names an option of uv, which users of cotter cannot pass, is replaced with
        // our own.
        let block: Vec<&str> = said
            .trim()
            .lines()
            .map(|l| l.strip_prefix("error: ").unwrap_or(l))
            .filter(|l| wants_source(l).is_empty())
            .take(40)
            .collect();
        let said = in_our_words(block.join("\n").trim_end());
        let error = error.because(format!("uv says:\n{said}"));
        if !sources.is_empty() {
            return error.hint(self.build_hint(&sources));
        }
        match kind {
            ErrorKind::User if self.set.is_generated => error.hint(format!(
                "change `build_requires` of [requirements.{}], of which the builds import the packages",
                self.set.name
            )),
            ErrorKind::User => {
                error.hint("change the requirements that uv names, or the files that they stand in")
            }
            _ => error,
        }
    }

    fn build_hint(&self, projects: &[String]) -> String {
        if self.set.is_generated {
            return format!(
                "what builds import must have wheels: name versions of {} that have one in `build_requires` of [requirements.{}]",
                projects.join(", "),
                self.set.name
            );
        }
        let mut build = self.set.build.clone();
        build.extend(projects.iter().cloned());
        format!(
            "to build {} from source, say so: build = {build:?} in [requirements.{}]",
            projects.join(", "),
            self.set.name
        )
    }

    /// Returns the output of uv without the credentials of an index.
    fn redacted(&self, text: &str) -> String {
        self.indexes.iter().fold(text.to_owned(), |text, index| {
            text.replace(index.trim_end_matches('/'), redact(index).trim_end_matches('/'))
        })
    }
}

/// Returns the name of the list that is made of an input of another format.
fn list_of(file: &str) -> String {
    format!("{}.txt", file.replace('/', "-"))
}

/// Returns the newest version of glibc for which uv has a platform and that is not newer than
/// `glibc` (`2.36`), as the second part of the version.
fn known_glibc(glibc: &str) -> u32 {
    let minor: u32 = glibc.split('.').nth(1).and_then(|n| n.parse().ok()).unwrap_or(17);
    [17, 28].into_iter().chain(31..=40).filter(|known| *known <= minor).max().unwrap_or(17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_glibc_has_a_platform_of_uv() {
        assert_eq!(["2.17", "2.29", "2.36", "2.41", "odd"].map(known_glibc), [17, 28, 36, 40, 17]);
    }

    #[test]
    fn versions_of_uv_are_compared() {
        assert_eq!(["0.9.0", "0.10.1", "1.0", "odd"].map(is_recent), [true; 4]);
        assert_eq!(["0.8.24", "0.6.15"].map(is_recent), [false; 2]);
    }
}
