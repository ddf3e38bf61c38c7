//! How findings are told: to people, to programs, to code hosts. Pure.
//!
//! A report is a file here and a line in [`REPORTS`].

mod api;
mod json;
mod sarif;
mod text;

pub use api::{Findings, Report};

/// Every report; the first is the one that is printed if none is asked for.
pub static REPORTS: &[&dyn Report] = &[
    &text::Text,
    &json::Json,
    &sarif::Sarif,
    #[cfg(test)]
    &tests::Dummy,
];

/// The report with a name.
pub fn named(name: &str) -> Option<&'static dyn Report> {
    REPORTS.iter().copied().find(|r| r.name() == name)
}

#[cfg(test)]
mod tests;
