//! Finds values of this machine in a result. Two builds on one machine agree on them, and those on
//! another one would not.

use super::cause::Influence;
use super::moment::Window;
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};

/// A value of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineValue {
    /// What a result that has it depends on.
    pub cause: Influence,
    /// What it is, in words.
    pub about: &'static str,
    /// The value.
    pub text: String,
}

/// A value of this machine that a file of a result has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineTrace {
    /// The file.
    pub path: MemberPath,
    /// The value.
    pub value: MachineValue,
}

/// The least length of a value that is searched: a shorter one would be a coincidence.
const SHORTEST: usize = 6;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl MachineValue {
    /// Returns the day on which a build began, in the forms in which results name it.
    pub fn days(window: Window) -> Vec<Self> {
        let time = jiff::Timestamp::from_second(window.from).unwrap_or_default();
        let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (year, number, day) = (date.year(), date.month(), date.day());
        let month = MONTHS[usize::from(number.unsigned_abs()) - 1];
        [
            format!("{year}-{number:02}-{day:02}"),
            format!("{year}{number:02}{day:02}"),
            format!("{month} {day:2} {year}"),
            format!("{day} {month} {year}"),
            format!("{number:02}/{day:02}/{year}"),
        ]
        .map(|text| MachineValue { cause: Influence::Time, about: "the day of the build", text })
        .into()
    }
}

/// Returns the files of a tree that have one of some values.
///
/// # Errors
/// If a file cannot be read.
pub fn traces(tree: &Tree, values: &[MachineValue]) -> Result<Vec<MachineTrace>> {
    let mut out = vec![];
    for (path, node) in tree.iter() {
        let bytes = match node {
            Node::File { blob, .. } => blob.read()?,
            Node::Symlink(target) => target.clone().into_bytes(),
            Node::Directory => continue,
        };
        let is_there = |value: &&MachineValue| {
            value.text.len() >= SHORTEST
                && (memchr::memmem::find(&bytes, value.text.as_bytes()).is_some()
                    || path.as_str().contains(&value.text))
        };
        let found = values.iter().filter(is_there).cloned();
        out.extend(found.map(|value| MachineTrace { path: path.clone(), value }));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_many_forms() {
        let window = Window { from: 1_795_869_040, to: 1_795_869_059 };
        let texts: Vec<String> =
            MachineValue::days(window).into_iter().map(|value| value.text).collect();
        assert_eq!(texts, ["2026-11-28", "20261128", "Nov 28 2026", "28 Nov 2026", "11/28/2026"]);
    }
}
