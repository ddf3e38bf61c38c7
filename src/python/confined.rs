//! Resolutions that may run code of packages: uv, and whatever it starts, run in the sandbox. The
//! files of requirements are copied there, the package indexes are asked through a gateway, and
//! nothing that was written there outlives the resolution except for its results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::gateway::Gateway;
use super::isolated::PROJECT;
use super::uv::{CONSTRAINTS, Confined, SetResolution, UNIVERSAL};
use crate::error::{Error, ErrorKind, Result};
use crate::sandbox::{Job, Printed, Quota, SealedView, Surroundings, SystemView, View, unpacked};
use crate::tree::{BlobDir, Node, Tree};
use crate::unpack::Limits;

/// Runs the commands, within the sandbox.
const PROGRAM: &str = include_str!("resolve_all.py");

/// The largest result, in bytes. The hashes of a thousand packages take 2 MB.
const LARGEST_RESULT: u64 = 16 << 20;
/// The number of lines in the message of a job that failed.
const LAST_LINES: usize = 5;
const SCRATCH: &str = "/build/source/scratch";

impl SetResolution<'_> {
    /// Resolves for all platforms in the sandbox.
    ///
    /// # Errors
    /// If the requirements cannot be satisfied, or if code of a package fails. The message contains
    /// uv's explanation.
    pub(super) fn in_sandbox(&self) -> Result<Confined> {
        let mut commands = vec![self.universal_command()?];
        for (platform, glibc) in self.platforms {
            commands.extend(self.platform_commands(*platform, glibc, CONSTRAINTS)?);
        }
        // The commands have written files to the scratch directory.
        let source = self.copies()?;
        let gateway = Gateway::new(self.http, self.indexes);
        let blobs = BlobDir::create(self.scratch.join("resolution"))?;
        let commands = commands.iter().map(|c| self.inside(c)).collect::<Result<Vec<_>>>()?;
        let commands = serde_json::to_string(&commands)
            .map_err(|e| Error::build("can't describe a resolution").cause(&e))?;
        let python = "/cotter/python/bin/python3";
        let job = Job {
            view: View::Sealed(Box::new(SealedView {
                trees: BTreeMap::from([
                    ("python".to_owned(), tree_of(self.python)?),
                    ("uv".to_owned(), tree_of(self.uv)?),
                ]),
                source,
                directory: PROJECT.to_owned(),
                result: "out".to_owned(),
                env: self.environment(&gateway),
                limits: Quota { keep_failed: false, ..self.limits },
                gateway: !self.offline,
                terminal: false,
                system: SystemView::default(),
                surroundings: Surroundings::default(),
            })),
            command: [python, "-I", "-c", PROGRAM, &commands].map(str::to_owned).into(),
        };
        let log = self.scratch.join("resolution.log");
        let limits = Limits { entries: 10_000, bytes: self.limits.space };
        let serve = |stream| gateway.serve(stream);
        let outcome =
            job.run_served(&Printed { log: &log, tell: None }, unpacked(&blobs, limits), &serve)?;
        let Some(made) = outcome.result else {
            let last = outcome.said.len().saturating_sub(LAST_LINES);
            let error = Error::build(format!("can't resolve [requirements.{}]", self.set.name));
            let error = match &outcome.said[last..] {
                [] => error,
                lines => error.because(format!("it says:\n{}", lines.join("\n"))),
            };
            return Err(outcome.ended.explain(error));
        };
        self.results(&made, &gateway)
    }

    /// Reads the results, and reports a failure of uv.
    fn results(&self, made: &Tree, gateway: &Gateway) -> Result<Confined> {
        let read = |name: &str| -> Result<String> {
            let Some(Node::File { blob, .. }) = made.at(name) else {
                return Err(Error::build(format!("a resolution left no {name}")));
            };
            if blob.size() > LARGEST_RESULT {
                return Err(Error::build(format!(
                    "a resolution left {} bytes in {name}",
                    blob.size()
                ))
                .because(format!("expected at most {LARGEST_RESULT}")));
            }
            let text = String::from_utf8_lossy(&blob.read()?).replace(&format!("{SCRATCH}/"), "");
            Ok(gateway.outside(&self.with_names(text)))
        };
        let code = read("code")?;
        if code != "0" {
            let last = (0..=2 * self.platforms.len()).rev();
            let said = last.filter_map(|n| read(&format!("{n}.err")).ok()).next();
            let said = said.unwrap_or_default();
            let failures = gateway.failures();
            let kind = if failures.is_empty() && !self.offline {
                ErrorKind::User
            } else {
                ErrorKind::Network
            };
            return Err(failures
                .into_iter()
                .take(3)
                .fold(self.failure(kind, &said), |error, f| error.because(f.to_string())));
        }
        let warnings = read("0.err")?
            .lines()
            .filter_map(|line| line.strip_prefix("warning: "))
            .map(str::to_owned)
            .collect();
        let mut platforms = BTreeMap::new();
        for (number, (platform, _)) in self.platforms.iter().enumerate() {
            let of = |n: usize| read(&format!("{}.out", 2 * number + n));
            platforms.insert(*platform, (of(1)?, of(2)?));
        }
        Ok(Confined { universal: self.with_files(read(UNIVERSAL)?), warnings, platforms })
    }

    /// Returns the words of a command as they are in the sandbox.
    fn inside(&self, command: &Command) -> Result<Vec<String>> {
        let own = |path: &Path| path.display().to_string();
        let scratch = format!("{}/", own(self.scratch));
        let word = |word: &std::ffi::OsStr| -> Result<String> {
            let word = word
                .to_str()
                .ok_or_else(|| Error::user(format!("{} is no UTF-8 text", word.display())))?;
            Ok(if word == own(self.python) {
                "/cotter/python/bin/python3".to_owned()
            } else {
                word.replace(&scratch, &format!("{SCRATCH}/"))
            })
        };
        let program = "/cotter/uv/bin/uv".to_owned();
        [Ok(program)].into_iter().chain(command.get_args().map(word)).collect()
    }

    fn environment(&self, gateway: &Gateway) -> BTreeMap<String, String> {
        let mut env = SealedView::environment(&["python".to_owned()]);
        let own = [("NO_COLOR", "1"), ("COLUMNS", "200"), ("UV_CACHE_DIR", "/tmp/uv")];
        env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if let Some((last, others)) = gateway.addresses().split_last() {
            env.insert("UV_DEFAULT_INDEX".to_owned(), last.clone());
            if !others.is_empty() {
                env.insert("UV_INDEX".to_owned(), others.join(" "));
            }
        }
        env
    }
}

/// Returns the tree of a program in its directory `bin`.
fn tree_of(program: &Path) -> Result<PathBuf> {
    program
        .parent()
        .and_then(Path::parent)
        .map(Path::to_owned)
        .ok_or_else(|| Error::build(format!("{} is in no tree", program.display())))
}
