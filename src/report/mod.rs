//! The formats in which findings are reported: for people, for programs, and for code hosting
//! services. Also reports about locks. Pure.
//!
//! A new format of findings is one file in this directory and one line in [`REPORTS`].

mod api;
pub mod compile_commands;
pub mod dependencies;
mod json;
pub mod lock_changes;
pub mod lock_forms;
pub mod provenance;
mod sarif;
mod text;

pub use api::{Findings, Report};

/// All reports. The first one is used if the user asks for none.
pub static REPORTS: &[&dyn Report] = &[
    &text::Text,
    &json::Json,
    &sarif::Sarif,
    #[cfg(test)]
    &tests::Dummy,
];

/// Returns the report with a name.
pub fn named(name: &str) -> Option<&'static dyn Report> {
    REPORTS.iter().copied().find(|r| r.name() == name)
}

#[cfg(test)]
mod tests;
