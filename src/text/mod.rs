//! Typed writers of text formats, which handle the quoting rules of their formats, and a reader of
//! shell text. Pure.

pub mod html;
pub mod markdown;
pub mod quantity;
pub mod shell;
pub mod shell_commands;
pub mod terminal;
pub mod toml;
