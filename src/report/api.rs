//! What a report is.

use crate::audit::Finding;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What nobody accepts, sorted.
    pub open: Vec<Finding>,
    /// What the allow list accepts, each with the reason.
    pub accepted: Vec<(Finding, String)>,
}

/// A way to tell what was found.
pub trait Report: Sync {
    /// What the user calls it, in `--format <name>`.
    fn name(&self) -> &'static str;

    /// The text for standard output. It depends on the findings alone.
    fn render(&self, findings: &Findings) -> String;
}
