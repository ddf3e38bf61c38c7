//! What a lock says of a tree whose files are built from source.

use std::collections::BTreeMap;

use super::uses::Uses;
use crate::manifest::{Fields, Problems, Spanned, environment_fault};
use crate::model::{StoreName, ToolchainName};
use crate::text::toml::Table;

/// How the files of a tree are built. Together with the inputs, it determines them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Building {
    /// The name of the recipe that has the steps, if the manifest names one.
    pub recipe: Option<String>,
    /// The commands of a shell, which run one after the other.
    pub steps: Vec<String>,
    /// The variables of the build.
    pub env: BTreeMap<String, String>,
    /// The toolchains whose programs the steps start, in the order of PATH.
    pub with: Vec<ToolchainName>,
    /// The toolchains whose libraries the result is linked to.
    pub libraries: Vec<ToolchainName>,
    /// Whether what only debuggers read is removed.
    pub strip: bool,
    /// The trees of `with`, and then those of `libraries`, with which it was built.
    pub trees: Vec<StoreName>,
}

impl Building {
    /// Returns the toolchains that the build uses, in the order of their trees.
    pub fn toolchains(&self) -> impl Iterator<Item = &ToolchainName> {
        self.with.iter().chain(&self.libraries)
    }

    /// Returns the trees of the lock that are needed to build.
    pub fn uses(&self) -> Uses {
        let mut make: Vec<ToolchainName> = self.toolchains().cloned().collect();
        make.sort();
        make.dedup();
        Uses { make, run: vec![] }
    }

    /// Whether the same is asked for, whatever the trees are with which it is built.
    pub fn asks_like(&self, other: &Building) -> bool {
        let plain = |one: &Building| Building { trees: vec![], ..one.clone() };
        plain(self) == plain(other)
    }
}

/// Reads the table. `None`: problems were added.
pub fn read(mut table: Fields, problems: &mut Problems) -> Option<Building> {
    let before = problems.count();
    let recipe = table.string("recipe", problems).map(|text| text.value);
    let plain = |list: Option<Vec<Spanned<String>>>| -> Vec<String> {
        list.unwrap_or_default().into_iter().map(|text| text.value).collect()
    };
    let steps = plain(table.string_list("steps", problems));
    let with = names(&mut table, "with", problems);
    let libraries = names(&mut table, "libraries", problems);
    let trees: Vec<StoreName> = names(&mut table, "trees", problems);
    let mut env = BTreeMap::new();
    let span = table.key_span("env");
    if let Some(mut entries) = table.table("env", problems) {
        for name in entries.keys() {
            env.extend(entries.string(&name, problems).map(|text| (name, text.value)));
        }
    }
    for (name, value) in &env {
        if let Some(why) = environment_fault(name, value) {
            problems.add(span.clone(), why);
        }
    }
    if trees.len() != with.len() + libraries.len() {
        problems.add(table.span(), "expected one of `trees` for each of `with` and `libraries`");
    }
    let strip = table.bool("strip", problems).unwrap_or(true);
    table.finish(problems);
    let building = Building { recipe, steps, env, with, libraries, strip, trees };
    (problems.count() == before).then_some(building)
}

fn names<T: std::str::FromStr<Err = String>>(
    table: &mut Fields,
    key: &str,
    problems: &mut Problems,
) -> Vec<T> {
    let list = table.string_list(key, problems).unwrap_or_default();
    let mut parse = |text: Spanned<String>| {
        let parsed = text.value.parse();
        parsed.map_err(|why| problems.add(text.span, format!("{key}: {why}"))).ok()
    };
    list.into_iter().filter_map(&mut parse).collect()
}

/// Returns the table.
pub fn table(building: &Building) -> Table {
    let Building { recipe, steps, env, with, libraries, strip, trees } = building;
    let names =
        |list: &[ToolchainName]| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
    let mut variables = Table::default();
    for (name, value) in env {
        variables.string(name, value);
    }
    let trees: Vec<&str> = trees.iter().map(StoreName::as_str).collect();
    let mut out = Table::default();
    out.maybe_string("recipe", recipe.as_deref())
        .some_strings("with", &names(with))
        .some_strings("libraries", &names(libraries))
        .some_strings("trees", &trees)
        .some_strings("steps", steps)
        .some_table("env", &variables)
        .unset("strip", !strip);
    out
}
