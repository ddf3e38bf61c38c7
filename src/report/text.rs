//! Reports findings for people: each rule once, with advice, followed by the places.

use anstyle::{AnsiColor, Style};

use super::api::{Findings, Report};
use crate::audit::{Finding, Severity};
use crate::text::terminal::escaped;

/// The report that this module describes.
pub struct Text;

impl Report for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn render(&self, findings: &Findings) -> String {
        text(&findings.open)
    }
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
            paint(Style::new().bold(), &escaped(&finding.place)),
            escaped(&finding.reason)
        ));
    }
    out
}
