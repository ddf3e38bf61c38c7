//! Typed writers of text formats. Each writer handles the quoting rules of its format. Pure.

pub mod shell;
pub mod toml;
