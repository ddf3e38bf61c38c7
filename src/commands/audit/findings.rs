//! What `cotter audit` found, for people, for programs and for SARIF's readers.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use super::super::{print, print_json};
use crate::audit::{Finding, RULES, Severity, sarif};
use crate::cli::AuditOutput;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::manifest::{AuditSettings, did_you_mean};

/// Prints what was found, and says by the exit code whether anything was.
pub(super) fn report(
    mut findings: Vec<Finding>,
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
    if format.sarif {
        print_json(&sarif::log(&findings, &accepted))?;
    } else if format.json {
        let told = |f: &Finding| json!({ "id": f.id, "severity": f.rule().severity.as_str(), "place": f.place, "reason": f.reason, "what": f.rule().what, "fix": f.rule().fix });
        let accepted: Vec<_> = accepted
            .iter()
            .map(|(f, reason)| {
                let mut value = told(f);
                value["accepted"] = json!(reason);
                value
            })
            .collect();
        print_json(
            &json!({ "findings": findings.iter().map(told).collect::<Vec<_>>(), "accepted": accepted }),
        )?;
    } else {
        print(&text(&findings))?;
    }
    let accepted = match accepted.len() {
        0 => String::new(),
        n => format!("; {n} accepted by [audit] allow"),
    };
    if findings.is_empty() {
        cx.reporter.line(&format!("no reach to the host found{accepted}"));
        return Ok(ExitCode::SUCCESS);
    }
    let count = findings.len();
    Err(Error::new(
        Kind::Leak,
        format!("{count} reach{} to the host{accepted}", if count == 1 { "" } else { "es" }),
    )
    .hint("what must stay goes into toolchains.toml: [[audit.allow]] with id, place and reason"))
}

fn text(findings: &[Finding]) -> String {
    let paint = |style: Style, text: &str| format!("{style}{text}{style:#}");
    let mut out = String::new();
    let mut last = "";
    for finding in findings {
        let rule = finding.rule();
        if finding.id != last {
            let color =
                if rule.severity == Severity::Error { AnsiColor::Red } else { AnsiColor::Yellow };
            let head = paint(
                color.on_default().bold(),
                &format!("{}[{}]", rule.severity.as_str(), rule.id),
            );
            out.push_str(&format!("{head} {}\n", rule.what));
            out.push_str(&format!(
                "  {} {}\n",
                paint(AnsiColor::Cyan.on_default().bold(), "fix:"),
                rule.fix
            ));
            last = finding.id;
        }
        out.push_str(&format!(
            "  {} {}\n",
            paint(Style::new().bold(), &finding.place),
            finding.reason
        ));
    }
    out
}
