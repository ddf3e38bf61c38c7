//! Warns of trees with programs that can open files of the host.

use crate::context::Context;
use crate::facts::{Facts, RecordedFacts};
use crate::model::{StoreName, ToolchainName};

/// Warns of each tree whose facts record such programs: one line for each tree. `made` are the trees
/// that were just made.
pub fn warn<'a>(made: impl Iterator<Item = (&'a ToolchainName, &'a StoreName)>, cx: &Context) {
    for (name, tree) in made {
        // The facts of a compiler, an interpreter or a library record none.
        let Some(RecordedFacts { facts: Facts::Tool(facts), .. }) = cx.store.facts(tree) else {
            continue;
        };
        let Some(first) = facts.open.first.first() else { continue };
        let count = match facts.open.programs {
            1 => "1 program".to_owned(),
            n => format!("{n} programs"),
        };
        cx.reporter.warn(&format!(
            "{name}: {count} can reach files of the host (first: {} names {}); `cotter audit tree {name}` lists them",
            first.program(),
            first.path,
        ));
    }
}
