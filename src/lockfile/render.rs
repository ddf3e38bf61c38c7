//! A lock as text: the same lock always gives the same bytes.

use std::fmt::Write as _;

use super::{LockedTree, Lockfile, VERSION};
use crate::model::Input;

impl Lockfile {
    /// The text of the file.
    pub fn render(&self) -> String {
        let mut out = String::from("# Made by `cotter lock`. Commit this file; do not edit it.\n");
        writeln!(out, "version = {VERSION}").expect("a string takes it");
        for tree in self.trees.values() {
            tree.render(&mut out).expect("a string takes it");
        }
        out
    }
}

impl LockedTree {
    fn render(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\n[[tree]]")?;
        writeln!(out, "name = {}", quoted(self.plan.name.as_str()))?;
        writeln!(out, "platform = {}", quoted(self.plan.platform.as_str()))?;
        writeln!(out, "kind = {}", quoted(self.plan.kind.as_str()))?;
        writeln!(out, "source = {}", quoted(&self.plan.source))?;
        writeln!(out, "version = {}", quoted(&self.plan.version))?;
        writeln!(out, "recipe = {}", quoted(&self.plan.recipe))?;
        writeln!(out, "store_name = {}", quoted(self.output.store_name.as_str()))?;
        writeln!(out, "nar_hash = {}", quoted(&self.output.nar_hash.sri()))?;
        writeln!(out, "nar_size = {}", self.output.nar_size)?;
        if !self.plan.releases.is_empty() {
            writeln!(out, "releases = [")?;
            for r in &self.plan.releases {
                writeln!(
                    out,
                    "  {{ archive = {}, suite = {}, date = {}, key = {} }},",
                    quoted(&r.archive),
                    quoted(&r.suite),
                    quoted(&r.date),
                    quoted(&r.key)
                )?;
            }
            writeln!(out, "]")?;
        }
        writeln!(out, "inputs = [")?;
        for input in &self.plan.inputs {
            writeln!(out, "  {},", render_input(input))?;
        }
        writeln!(out, "]")?;
        writeln!(out, "[tree.request]")?;
        for (key, values) in &self.plan.request {
            writeln!(out, "{} = {}", quoted_key(key), list(values.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

fn render_input(input: &Input) -> String {
    let locations: Vec<String> = input.locations.iter().map(ToString::to_string).collect();
    let location = match locations.as_slice() {
        [one] => format!("url = {}", quoted(one)),
        many => format!("urls = {}", list(many.iter().map(String::as_str))),
    };
    let mut out =
        format!("{{ {location}, size = {}, sha256 = {}", input.size, quoted(&input.sha256.hex()));
    if let Some(package) = &input.package {
        write!(out, ", requires = {}", list(package.requires.iter().map(String::as_str)))
            .expect("a string takes it");
        if let Some(built) = &package.built {
            write!(
                out,
                ", built = {{ file = {}, size = {}, sha256 = {} }}",
                quoted(&built.file),
                built.size,
                quoted(&built.sha256.hex())
            )
            .expect("a string takes it");
        }
    }
    out + " }"
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

fn quoted_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

/// A TOML basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04X}", c as u32).expect("a string takes it"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
