//! A Bazel workspace, and the way in which its Bazel is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::BazelFlags;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// A workspace, and the way in which its Bazel is started.
pub struct Workspace<'a> {
    /// The directory that contains WORKSPACE or MODULE.bazel.
    pub dir: PathBuf,
    /// How Bazel is started.
    pub flags: &'a BazelFlags,
}

impl Workspace<'_> {
    /// Returns the directory of the workspace that contains the user's working directory.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(here: &Path) -> Result<PathBuf> {
        let files = ["MODULE.bazel", "REPO.bazel", "WORKSPACE", "WORKSPACE.bazel"];
        here.ancestors()
            .find(|d| files.iter().any(|f| d.join(f).exists()))
            .map(Path::to_owned)
            .ok_or_else(|| {
                Error::user(format!(
                    "there is no WORKSPACE or MODULE.bazel in {} or above",
                    here.display()
                ))
                .hint("go to a Bazel workspace")
            })
    }

    /// Makes sure that the user accepts whoever else owns the project, if toolchains are pinned there:
    /// Bazel runs what its files say.
    ///
    /// # Errors
    /// If a manifest belongs to another user whom this user did not accept.
    pub fn check_owner(cx: &Context) -> Result<()> {
        cx.found_manifest().map_or(Ok(()), |_| cx.manifest_path().map(drop))
    }

    /// Returns the arguments of a command: startup flags, the command, and its flags.
    pub fn arguments(&self, verb: &str, more: &[&str]) -> Vec<String> {
        let words = self
            .flags
            .startup
            .iter()
            .map(String::as_str)
            .chain([verb])
            .chain(self.flags.flag.iter().map(String::as_str))
            .chain(more.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// Runs a command of Bazel. Returns its standard output and its standard error.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub fn bazel(&self, verb: &str, more: &[&str], cx: &Context) -> Result<(String, String)> {
        let arguments = self.arguments(verb, more);
        cx.reporter.detail(&format!("{} {}", self.flags.program.display(), arguments.join(" ")));
        let output = Command::new(&self.flags.program)
            .args(&arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| {
                Error::new(
                    ErrorKind::CommandNotFound,
                    format!("can't start {}", self.flags.program.display()),
                )
                .cause(&e)
                .hint("install Bazel, or name it with --bazel PROGRAM or COTTER_BAZEL")
            })?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            let mut lines: Vec<&str> =
                said.lines().filter(|l| l.contains("ERROR") || l.contains("error:")).collect();
            if lines.is_empty() {
                lines = said.lines().rev().take(10).collect();
            }
            return Err(Error::build(format!("`bazel {verb}` failed"))
                .because(lines.join("\n"))
                .hint(
                    "mend it first: what Bazel compiles is asked of a workspace that it can build",
                ));
        }
        let printed = String::from_utf8(output.stdout)
            .map_err(|_| Error::build(format!("`bazel {verb}` did not print UTF-8")))?;
        Ok((printed, said))
    }

    /// Returns the execution root and the output base.
    ///
    /// # Errors
    /// If Bazel does not tell them.
    pub fn places(&self, cx: &Context) -> Result<(PathBuf, PathBuf)> {
        let (info, _) = self.bazel("info", &["execution_root", "output_base"], cx)?;
        let place = |key: &str| {
            info.lines()
                .find_map(|l| l.strip_prefix(&format!("{key}: ")))
                .map(PathBuf::from)
                .ok_or_else(|| Error::build(format!("`bazel info` did not tell {key}")))
        };
        Ok((place("execution_root")?, place("output_base")?))
    }
}
