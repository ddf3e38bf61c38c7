//! Typed writers of text formats: each alone knows how its format quotes. Pure.

pub mod toml;
