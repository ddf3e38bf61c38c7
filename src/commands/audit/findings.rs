//! Prints the findings of `cotter audit` for people, for programs, and as SARIF.

use std::process::ExitCode;

use super::super::print;
use crate::audit::tree::Examined;
use crate::audit::{Finding, RULES};
use crate::cli::AuditOutput;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{AuditSettings, did_you_mean};
use crate::report::Findings;

/// Prints the findings. The exit code tells whether there were any.
pub(super) fn report(
    mut findings: Vec<Finding>,
    trees: Vec<Examined>,
    settings: &AuditSettings,
    format: &AuditOutput,
    cx: &Context,
) -> Result<ExitCode> {
    findings.sort();
    findings.dedup();
    for entry in &settings.allow {
        if !RULES.iter().any(|r| r.id == entry.id.value) {
            return Err(Error::user(format!(
                "[audit] allow names a rule {:?} that is not there{}",
                entry.id.value,
                did_you_mean(&entry.id.value, RULES.iter().map(|r| r.id))
            )));
        }
    }
    let (accepted, findings): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|f| f.allowed(&settings.allow).is_some());
    let accepted: Vec<(Finding, String)> = accepted
        .into_iter()
        .map(|f| {
            let reason = f.allowed(&settings.allow).map(|a| a.reason.clone()).unwrap_or_default();
            (f, reason)
        })
        .collect();
    for entry in settings
        .allow
        .iter()
        .filter(|e| !accepted.iter().any(|(f, _)| f.allowed(std::slice::from_ref(e)).is_some()))
    {
        cx.reporter.warn(&format!(
            "[audit] allow accepts {} at {:?}, but nothing such was found",
            entry.id.value, entry.place
        ));
    }
    let found = Findings { open: findings, accepted, trees };
    print(&format.report().render(&found))?;
    let accepted = match found.accepted.len() {
        0 => String::new(),
        n => format!("; {n} accepted by [audit] allow"),
    };
    if found.open.is_empty() {
        cx.reporter.line(&format!("no reach to the host found{accepted}"));
        return Ok(ExitCode::SUCCESS);
    }
    let count = found.open.len();
    Err(Error::new(
        ErrorKind::Leak,
        format!("{count} reach{} to the host{accepted}", if count == 1 { "" } else { "es" }),
    )
    .hint("what must stay goes into toolchains.toml: [[audit.allow]] with id, place and reason"))
}
