//! The interface of a report.

use crate::audit::Finding;
use crate::audit::tree::Examined;

/// The result of an audit.
#[derive(Debug, Default)]
pub struct Findings {
    /// The findings that the allow list does not accept, sorted.
    pub open: Vec<Finding>,
    /// The findings that the allow list accepts, each with the reason.
    pub accepted: Vec<(Finding, String)>,
    /// The trees that were examined, with all their constants.
    pub trees: Vec<Examined>,
}

/// A format in which findings are reported.
pub trait Report: Sync {
    /// The name of the format for the user, in `--format <name>`.
    fn name(&self) -> &'static str;

    /// Returns the text for standard output. It depends only on the findings.
    fn render(&self, findings: &Findings) -> String;
}
