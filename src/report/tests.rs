//! A report that needs only one file and one line in the list.

use super::*;
use crate::audit::{Finding, RULES};

/// An added report consists of this and its line in [`REPORTS`].
pub struct Dummy;

impl Report for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn render(&self, findings: &Findings) -> String {
        format!("{} open, {} accepted\n", findings.open.len(), findings.accepted.len())
    }
}

#[test]
fn a_report_is_one_file_and_one_line() {
    use clap::Parser;
    let finding = Finding::new(RULES[0], "//a:b", "because");
    let findings = Findings {
        open: vec![finding.clone()],
        accepted: vec![(finding, "so".into())],
        ..Findings::default()
    };
    assert_eq!(named("dummy").unwrap().render(&findings), "1 open, 1 accepted\n");
    // The command line accepts it without any other change.
    let cli = crate::cli::Cli::try_parse_from(["cotter", "audit", "tree", "--format", "dummy"]);
    assert!(cli.is_ok(), "{cli:?}");
    assert!(crate::cli::Cli::try_parse_from(["cotter", "audit", "tree", "--format", "x"]).is_err());
}

#[test]
fn all_reports_tell_the_finding_and_where() {
    let open = vec![Finding::new(RULES[0], "//a:b", "because")];
    let findings = Findings { open, ..Findings::default() };
    for name in ["text", "json", "sarif"] {
        let text = named(name).unwrap().render(&findings);
        assert!(text.contains(RULES[0].id) && text.contains("//a:b"), "{name}: {text}");
    }
}
