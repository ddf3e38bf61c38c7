//! `cotter log`

use std::io::Write as _;
use std::process::ExitCode;

use crate::cli::Log;
use crate::context::Context;
use crate::error::{Error, Medium, Result};
use crate::model::Platform;
use crate::project::Project;
use crate::text::quantity::count;
use crate::text::terminal::block;

/// Runs the command.
///
/// # Errors
/// If there is no log of this name.
pub fn run(args: &Log, cx: &Context) -> Result<ExitCode> {
    let mut logs = cx.store.logs()?;
    // The youngest first.
    logs.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    let project = Project::load(cx).ok();
    let others: Vec<String> = project
        .iter()
        .flat_map(|project| project.manifest.toolchains.keys().map(ToString::to_string))
        .collect();
    let is_wanted = |name: &str| name == args.name || is_of(name, &args.name, &others);
    let Some((name, _)) = logs.iter().find(|(name, _)| is_wanted(name)) else {
        let error = Error::user(format!("there is no log of {}", args.name));
        let error = match logs.as_slice() {
            [] => error.because("no build has printed anything yet"),
            logs => error.because(format!(
                "the store has {}; the last ones: {}",
                count(logs.len(), "log"),
                logs.iter().take(5).map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            )),
        };
        return Err(error.hint("`cotter build` builds what is built from source; a toolchain that a cache had was not built here"));
    };
    let text = cx.store.read_log(name)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        // A build may have printed anything.
        out.push_str(&block(line));
        out.push('\n');
    }
    let mut to = anstream::stdout().lock();
    to.write_all(out.as_bytes())
        .and_then(|()| to.flush())
        .map_err(|e| Error::io_of(Medium::StandardOutput, "can't write to standard output", e))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a log is of a toolchain. It has the name of the tree: that of the toolchain, its version and
/// its platform, whatever the version was. `others` are the names of the other toolchains.
fn is_of(log: &str, name: &str, others: &[String]) -> bool {
    let begins = |name: &str| log.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    let ends = |rest: &str| Platform::ALL.iter().any(|p| rest.ends_with(&format!("-{p}")));
    let is_longer = |other: &&String| other.len() > name.len() && begins(other).is_some();
    begins(name).is_some_and(ends) && !others.iter().any(|other| is_longer(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_of_the_toolchain_with_the_longest_name() {
        let others = ["gcc", "gcc-12"].map(str::to_owned);
        assert!(is_of("gcc-12.2.0-x86_64-linux", "gcc", &others));
        assert!(is_of("gcc-12-12.2.0-x86_64-linux", "gcc-12", &others));
        assert!(!is_of("gcc-12-12.2.0-x86_64-linux", "gcc", &others));
        assert!(!is_of("gcc-1.0.tar.gz", "gcc", &others));
    }
}
