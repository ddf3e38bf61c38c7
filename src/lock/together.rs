//! Tells what the trees of a lock do to each other when they are used together: libraries of different
//! versions under one name, and libraries for a newer libc than that of the compiler.

use std::collections::{BTreeMap, BTreeSet};

use crate::lockfile::{LIBC_PACKAGE, Lockfile, Plan};
use crate::model::{Ecosystem, Kind};
use crate::recipe::Notes;
use crate::reporter::Reporter;
use crate::resolve::debian_version;

/// The number of libraries in one message.
const SHOWN: usize = 4;

/// The ends of the names of packages that have no library: headers, programs and data.
const NO_LIBRARIES: &[&str] = &["-bin", "-common", "-data", "-dev", "-doc", "-tools"];

/// Warns about library trees that hold different versions of one package of libraries. A package of
/// Debian has the name under which programs ask for its library, so such a program gets the one that
/// is found first. Told for trees of which one was just locked.
pub fn tell_versions(lock: &Lockfile, new: &[&Plan], reporter: &Reporter) {
    let is_new =
        |plan: &Plan| new.iter().any(|n| (&n.name, n.platform) == (&plan.name, plan.platform));
    let libraries: Vec<&Plan> = of_kind(lock, Kind::Library).collect();
    for (i, first) in libraries.iter().enumerate() {
        for second in &libraries[i + 1..] {
            if first.platform != second.platform || !(is_new(first) || is_new(second)) {
                continue;
            }
            let of = versions(second);
            let differ: Vec<String> = versions(first)
                .into_iter()
                .filter_map(|(name, version)| {
                    let other = of.get(name).filter(|other| **other != version)?;
                    Some(format!("{name} ({version} and {other})"))
                })
                .collect();
            if differ.is_empty() {
                continue;
            }
            let more = match differ.len().checked_sub(SHOWN) {
                None | Some(0) => String::new(),
                Some(more) => format!(" and {more} more"),
            };
            let shown = differ.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            reporter.warn(&format!(
                "{} and {} for {} hold different versions of {shown}{more}: a program that uses both gets those of one of them, also its modules and configuration; give both the same suites, or make one toolchain of their packages",
                first.name, second.name, first.platform
            ));
        }
    }
}

fn of_kind(lock: &Lockfile, kind: Kind) -> impl Iterator<Item = &Plan> {
    lock.trees.values().map(|tree| &tree.plan).filter(move |plan| plan.spec.kind() == kind)
}

/// Returns the versions of the packages of libraries.
fn versions(plan: &Plan) -> BTreeMap<&str, &str> {
    let components = plan.inputs.iter().map(|input| &input.component);
    components
        .filter(|c| c.ecosystem == Ecosystem::Debian)
        .filter(|c| c.name != LIBC_PACKAGE && !NO_LIBRARIES.iter().any(|end| c.name.ends_with(end)))
        .map(|c| (c.name.as_str(), c.version.as_str()))
        .collect()
}

/// Warns about libraries that were just locked and need a newer libc than a compiler of the lock has:
/// its linker finds symbols without a definition.
pub fn tell_libc(lock: &Lockfile, new: &[(&Plan, &Notes)], reporter: &Reporter) {
    let mut told = BTreeSet::new();
    for (library, notes) in new {
        let Some(needed) = notes.glibc.as_ref().filter(|_| library.spec.kind() == Kind::Library)
        else {
            continue;
        };
        for compiler in of_kind(lock, Kind::Cc).filter(|plan| plan.platform == library.platform) {
            let Some(libc) = compiler.linked_libc(library.platform) else { continue };
            let is_older = debian_version::compare(libc, &needed.version).is_lt();
            if is_older && told.insert((&library.name, &compiler.name, library.platform)) {
                reporter.warn(&format!(
                    "{} for {}: {} needs glibc {}, and the compiler {} has glibc {libc}: it can't link programs with that library; take both from the same suites",
                    library.name, library.platform, needed.file, needed.version, compiler.name
                ));
            }
        }
    }
}
