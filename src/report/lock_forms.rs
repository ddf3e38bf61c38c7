//! The forms in which the changes of a lock are printed: for people, for programs, for a comment of a
//! pull request, and as a page.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::lock_changes::{
    Happening, LockChanges, PackageChange, PackageState, TreeChange, TreeState,
};
use crate::text::html::Html;
use crate::text::markdown;
use crate::text::quantity::{bytes, count};

/// The greatest number of packages that Markdown lists: comments have a greatest length.
const MOST_PACKAGES: usize = 100;

/// Returns one line that says what happens.
pub fn summary(changes: &LockChanges) -> String {
    if changes.trees.is_empty() {
        return "nothing changes".to_owned();
    }
    let part = |happening: Happening, what: &str| {
        let number = changes.number_of(happening);
        (number > 0).then(|| format!("{} {what}", count(number, "tree")))
    };
    let parts = [
        part(Happening::Added, "added"),
        part(Happening::Removed, "removed"),
        part(Happening::MadeAnew, "made anew"),
        part(Happening::Recorded, "unchanged, with another record"),
    ];
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    let packages = changes.packages().len();
    if packages > 0 {
        parts.push(count(packages, "change") + " of packages");
    }
    parts.join(", ")
}

/// Returns the lines for people: one for each tree, and then one for each package that differs.
pub fn text(changes: &LockChanges) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    for tree in &changes.trees {
        let sign = match tree.happening() {
            Happening::Added => '+',
            Happening::Removed => '-',
            Happening::MadeAnew => '~',
            Happening::Recorded => '=',
        };
        line(format!(
            "{sign} {} {} for {}{}",
            tree.name,
            tree.versions(),
            tree.platform,
            details(tree)
        ));
    }
    for (package, trees) in changes.packages() {
        let sign = match (&package.old, &package.new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        let names: Vec<&str> = trees.iter().map(|name| name.as_str()).collect();
        let (name, versions, size) = (&package.name, package.versions(), sizes(package));
        line(format!("  {sign} {name} {versions} ({size}): {}", names.join(", ")));
    }
    line(summary(changes));
    out
}

/// Returns what a line about a tree says behind its version.
fn details(tree: &TreeChange) -> String {
    let mut parts = vec![];
    match (&tree.old, &tree.new) {
        (None, Some(new)) => {
            parts.push(count(new.packages, "package"));
            parts.push(bytes(new.download));
        }
        (Some(_), Some(_)) => {
            if !tree.packages.is_empty() {
                parts.push(count(tree.packages.len(), "package") + " changed");
            }
            parts.extend(tree.settings.iter().cloned());
            if tree.happening() == Happening::Recorded {
                parts.push("the same tree".to_owned());
            } else {
                parts.push(tree_sizes(tree));
            }
        }
        _ => {}
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// Returns the sizes of a tree, or one if they look the same.
fn tree_sizes(tree: &TreeChange) -> String {
    let size = |state: &TreeState| bytes(state.size);
    arrow(tree.old.as_ref().map(size), tree.new.as_ref().map(size))
}

/// Returns the sizes of a package, or one if they look the same.
fn sizes(package: &PackageChange) -> String {
    let size = |state: &PackageState| bytes(state.size);
    arrow(package.old.as_ref().map(size), package.new.as_ref().map(size))
}

fn arrow(old: Option<String>, new: Option<String>) -> String {
    match (old, new) {
        (Some(old), Some(new)) if old != new => format!("{old} -> {new}"),
        (old, new) => new.or(old).unwrap_or_default(),
    }
}

/// Returns the changes for programs.
pub fn json(changes: &LockChanges) -> Value {
    let tree_state = |state: &TreeState| {
        json!({
            "version": state.version, "store_name": state.store_name, "packages": state.packages,
            "download": state.download, "size": state.size,
        })
    };
    let package_state =
        |state: &PackageState| json!({ "version": state.version, "size": state.size });
    let package = |package: &PackageChange| {
        json!({
            "name": package.name, "ecosystem": package.ecosystem.as_str(),
            "old": package.old.as_ref().map(package_state), "new": package.new.as_ref().map(package_state),
        })
    };
    let tree = |tree: &TreeChange| {
        json!({
            "name": tree.name.as_str(), "platform": tree.platform.as_str(), "change": tree.happening().as_str(),
            "old": tree.old.as_ref().map(tree_state), "new": tree.new.as_ref().map(tree_state),
            "packages": tree.packages.iter().map(package).collect::<Vec<_>>(), "settings": tree.settings,
        })
    };
    json!({ "trees": changes.trees.iter().map(tree).collect::<Vec<_>>() })
}

/// The header of the table of trees.
const TREES: [&str; 5] = ["toolchain", "platform", "change", "version", "size"];

/// The header of the table of packages.
const PACKAGES: [&str; 4] = ["package", "version", "size", "in"];

/// Returns the cells of a tree, in the order of [`TREES`].
fn tree_cells(tree: &TreeChange) -> [String; 5] {
    let change = match tree.happening() {
        Happening::Added => "added".to_owned(),
        Happening::Removed => "removed".to_owned(),
        Happening::MadeAnew if tree.settings.is_empty() => "made anew".to_owned(),
        Happening::MadeAnew => format!("made anew: {}", tree.settings.join(", ")),
        Happening::Recorded => "the same tree".to_owned(),
    };
    let (name, platform) = (tree.name.to_string(), tree.platform.to_string());
    [name, platform, change, tree.versions(), tree_sizes(tree)]
}

/// Returns the changes as Markdown, short enough for a comment.
pub fn markdown(changes: &LockChanges) -> String {
    let mut out = format!("**toolchains.lock**: {}\n", markdown::text(&summary(changes)));
    if changes.trees.is_empty() {
        return out;
    }
    let row = |tree: &TreeChange| {
        let [name, platform, change, version, size] = tree_cells(tree);
        let (change, size) = (markdown::text(&change), markdown::text(&size));
        vec![
            markdown::code(&name),
            markdown::code(&platform),
            change,
            markdown::code(&version),
            size,
        ]
    };
    let rows: Vec<_> = changes.trees.iter().map(row).collect();
    out.push('\n');
    out.push_str(&markdown::table(&TREES, &rows));
    let packages = changes.packages();
    if packages.is_empty() {
        return out;
    }
    let rows: Vec<Vec<String>> = packages
        .iter()
        .take(MOST_PACKAGES)
        .map(|(package, trees)| {
            let names: Vec<String> =
                trees.iter().map(|name| markdown::code(name.as_str())).collect();
            vec![
                markdown::code(&package.name),
                markdown::code(&told(package)),
                markdown::text(&sizes(package)),
                names.join(", "),
            ]
        })
        .collect();
    out.push('\n');
    out.push_str(&markdown::table(&PACKAGES, &rows));
    if packages.len() > MOST_PACKAGES {
        let more = packages.len() - MOST_PACKAGES;
        let _ = writeln!(out, "\nand {}", markdown::text(&count(more, "further package")));
    }
    out
}

/// Returns the versions of a package, with a word if one side is missing.
fn told(package: &PackageChange) -> String {
    match (&package.old, &package.new) {
        (None, _) => format!("{}, added", package.versions()),
        (_, None) => format!("{}, removed", package.versions()),
        _ => package.versions(),
    }
}

/// Returns the changes as a page.
pub fn html(changes: &LockChanges) -> String {
    let trees = changes.trees.iter();
    let rows = trees.map(|tree| tree_cells(tree).iter().map(|cell| Html::text(cell)).collect());
    let mut body = vec![
        Html::of_text("h1", "toolchains.lock"),
        Html::of_text("p", &summary(changes)),
        Html::table(&TREES, rows.collect()),
    ];
    let packages = changes.packages();
    if !packages.is_empty() {
        let rows = packages.iter().map(|(package, trees)| {
            let names: Vec<&str> = trees.iter().map(|name| name.as_str()).collect();
            let cells = [package.name.clone(), told(package), sizes(package), names.join(", ")];
            cells.iter().map(|cell| Html::text(cell)).collect()
        });
        body.push(Html::table(&PACKAGES, rows.collect()));
    }
    Html::page("toolchains.lock", body)
}
