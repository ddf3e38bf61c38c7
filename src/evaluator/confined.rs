//! What an evaluation sees of the machine, where the machine allows namespaces.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use percent_encoding::percent_decode_str;

use super::process::{Enclosed, TemporaryFiles};
use crate::error::{Error, Result};
use crate::nix::expression::NixOrigin;
use crate::sandbox::{EVALUATION, EVALUATION_HOME, EvaluationView, Quota};

/// The directories of the machine that every evaluation sees, as far as they are there.
const PROGRAMS: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];

/// The directory with the socket of the daemon of Nix.
const DAEMON: &str = "/nix/var/nix/daemon-socket";

/// Returns why evaluations do not run in a namespace of their own here, by trying it. `scratch` is any
/// directory.
pub fn fault_of_evaluations(scratch: &Path) -> Option<String> {
    let view = EvaluationView {
        shown: vec![],
        written: vec![],
        scratch: scratch.to_owned(),
        directory: "/".into(),
        limits: Quota::of_builds(60),
        daemon: false,
    };
    let mut command = Command::new("/proc/self/exe");
    let text = serde_json::to_string(&view).expect("paths of this program are UTF-8 here");
    match command.arg(EVALUATION).arg(text).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(e) => Some(format!("can't try a namespace: {e}")),
    }
}

/// Whether a daemon of Nix serves the store of the machine, whose variables are given.
pub fn is_served(machine: &[(String, OsString)]) -> bool {
    let of = |name: &str| {
        machine.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    };
    let remote = of("NIX_REMOTE").unwrap_or_default();
    let is_usual = ["", "auto", "daemon"].iter().any(|usual| remote == OsStr::new(usual));
    is_usual && of("NIX_STATE_DIR").is_none() && Path::new(DAEMON).join("socket").exists()
}

/// What determines what a command sees.
pub struct Enclosure<'a> {
    /// The directory of the project in the store of cotter.
    pub dir: &'a Path,
    /// The part of it that can be written.
    pub own: &'a Path,
    /// The directory of the manifest.
    pub project: &'a Path,
    /// The program of a toolchain of the manifest.
    pub toolchain: Option<&'a Path>,
    /// The variables of the user.
    pub env: &'a [(String, OsString)],
    /// The directories of PATH.
    pub directories: &'a [PathBuf],
    /// How much of the machine the command may use.
    pub limits: Quota,
}

impl Enclosure<'_> {
    /// Puts a command into a namespace in which it sees the project, the flake, and what is its own.
    ///
    /// # Errors
    /// If a directory cannot be made, or if a path cannot be told.
    pub fn enclose(
        &self,
        command: &Command,
        origin: Option<&NixOrigin>,
        daemon: bool,
    ) -> Result<Enclosed> {
        let files = TemporaryFiles::below(self.dir)?;
        fs::create_dir_all(self.own).map_err(|e| Error::at("create", self.own, e))?;
        let mut shown = vec![self.dir.join("etc"), "/nix/store".into()];
        let checkout = self.checkout();
        shown.extend(git_of_worktree(&checkout));
        shown.push(checkout);
        shown.extend(origin.and_then(named_path));
        let program = Path::new(command.get_program());
        match self.toolchain {
            Some(toolchain) => shown.extend(toolchain.ancestors().nth(2).map(Path::to_owned)),
            None => {
                shown.extend(program.parent().filter(|dir| !is_program(dir)).map(Path::to_owned))
            }
        }
        if daemon {
            shown.push(DAEMON.into());
            shown.extend(
                ["nix.conf", "nix.custom.conf"].map(|name| Path::new("/etc/nix").join(name)),
            );
        }
        let variables = ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"];
        let named = self.env.iter().filter(|(name, _)| variables.contains(&name.as_str()));
        shown.extend(named.map(|(_, value)| PathBuf::from(value)));
        // A path is shown by the name by which it is known, and by the one without links.
        let real = shown.iter().filter_map(|path| path.canonicalize().ok());
        let mut all: Vec<PathBuf> =
            shown.iter().filter(|path| path.exists()).cloned().chain(real).collect();
        all.retain(|path| path.is_absolute() && !is_program(path.parent().unwrap_or(path)));
        all.sort();
        all.dedup();
        let view = EvaluationView {
            shown: all,
            written: vec![self.own.to_owned()],
            scratch: files.path().to_owned(),
            directory: command.get_current_dir().unwrap_or(self.own).to_owned(),
            limits: self.limits,
            daemon,
        };
        let view = serde_json::to_string(&view).map_err(|e| {
            Error::user("a path of this project can't be shown to Nix").cause(&e).hint(
                "rename the directories whose names are not UTF-8, or set COTTER_NIX_NAMESPACE=0",
            )
        })?;
        let mut inner = Command::new("/proc/self/exe");
        inner.arg(EVALUATION).arg(view).arg(program).args(command.get_args());
        let given = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        inner.env_clear().envs(given.filter(|(name, _)| *name != "SSH_AUTH_SOCK"));
        inner.env("HOME", EVALUATION_HOME).env("TMPDIR", "/tmp").env("PATH", self.seen_path());
        for (name, dir) in [("XDG_CACHE_HOME", "cache"), ("XDG_DATA_HOME", "data")] {
            inner.env(name, self.own.join(dir));
        }
        inner.env("XDG_CONFIG_HOME", self.dir.join("etc"));
        Ok(Enclosed { command: inner, limits: self.limits, files })
    }

    /// Returns the directories of PATH that an evaluation sees.
    fn seen_path(&self) -> OsString {
        let real = self.directories.iter().filter_map(|dir| dir.canonicalize().ok());
        let seen = real.filter(|dir| is_program(dir)).map(PathBuf::into_os_string);
        seen.collect::<Vec<_>>().join(OsStr::new(":"))
    }

    /// Returns the checkout around the project, unless the whole home is one.
    fn checkout(&self) -> PathBuf {
        let home = self.env.iter().find(|(name, _)| name == "HOME");
        let home = home.map(|(_, home)| Path::new(home));
        let top = self.project.ancestors().find(|above| above.join(".git").exists());
        let top = top.filter(|top| home.is_none_or(|home| !home.starts_with(top)));
        top.unwrap_or(self.project).to_owned()
    }
}

/// Whether a directory is one that every evaluation sees.
fn is_program(dir: &Path) -> bool {
    PROGRAMS.iter().any(|seen| dir.starts_with(seen))
}

/// Returns the repository of a checkout that is one of several of it (`git worktree`). An archive may have
/// any `.git` in it, so the repository must name the checkout, too.
fn git_of_worktree(checkout: &Path) -> Option<PathBuf> {
    let link = checkout.join(".git");
    let text = fs::read_to_string(&link).ok().filter(|text| text.len() < 8192)?;
    let own = checkout.join(text.strip_prefix("gitdir:")?.trim()).canonicalize().ok()?;
    let back = fs::read_to_string(own.join("gitdir")).ok()?;
    let is_mutual = own.join(back.trim()).canonicalize().ok()? == link.canonicalize().ok()?;
    let repository = own.parent().filter(|dir| dir.ends_with("worktrees"))?.parent()?;
    // A checkout that lies in a directory of this name must not show what is around it.
    let is_repository = repository.join("HEAD").is_file() && repository.join("objects").is_dir();
    (is_mutual && is_repository).then(|| repository.to_owned())
}

/// Returns the file or the directory of this machine that the reference of a flake names.
fn named_path(origin: &NixOrigin) -> Option<PathBuf> {
    let NixOrigin::Flake(reference) = origin else { return None };
    let schemes = ["path:", "git+file://", "tarball+file://", "file://"];
    let path = schemes.iter().find_map(|scheme| reference.strip_prefix(scheme))?;
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    Some(PathBuf::from(decoded.as_ref())).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flake_shows_what_it_names_and_nothing_else() {
        let of = |text: &str| named_path(&NixOrigin::Flake(text.to_owned()));
        assert_eq!(of("path:/a/b?narHash=x"), Some("/a/b".into()));
        assert_eq!(of("git+file:///a%20b?ref=x"), Some("/a b".into()));
        assert_eq!(of("file:///a.tar"), Some("/a.tar".into()));
        for none in ["github:a/b", "./nix", "path:x", "git+https://h/a", "git+file://h/a"] {
            assert_eq!(of(none).filter(|path| path != Path::new("/")), None, "{none}");
        }
    }

    /// What is unpacked from an archive may name any directory.
    #[test]
    fn only_the_repository_that_names_a_checkout_belongs_to_it() {
        let dir = std::env::temp_dir().join(format!("cotter-worktree-{}", std::process::id()));
        let (repository, checkout) = (dir.join("repo/.git"), dir.join("checkout"));
        let own = repository.join("worktrees/one");
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&checkout).unwrap();
        fs::write(checkout.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert_eq!(git_of_worktree(&checkout), None);
        fs::write(own.join("gitdir"), "/elsewhere/.git\n").unwrap();
        assert_eq!(git_of_worktree(&checkout), None);
        fs::write(own.join("gitdir"), format!("{}\n", checkout.join(".git").display())).unwrap();
        assert_eq!(git_of_worktree(&checkout), None, "no repository");
        fs::write(repository.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::create_dir(repository.join("objects")).unwrap();
        assert_eq!(git_of_worktree(&checkout), repository.canonicalize().ok());
        fs::remove_dir_all(dir).unwrap();
    }
}
