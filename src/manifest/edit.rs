//! Changes the text of a manifest and keeps everything else in it: comments, order and formatting.
//! Pure.

use std::ops::Range;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::{Manifest, Problems};
use crate::error::{Error, Result};
use crate::model::{Kind, ToolchainName};

/// The release of Debian that is used if nothing names another one.
pub const DEFAULT_RELEASE: &str = "bookworm";

/// The releases of Debian that have suites for updates and security updates.
const RELEASES: &[&str] = &["bookworm", "trixie"];

/// A table `[toolchains.<name>]` of Debian packages that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToolchain {
    /// The name of the toolchain.
    pub name: ToolchainName,
    /// Its kind.
    pub kind: Kind,
    /// The suites. An empty list stands for those of the toolchains that are there.
    pub suites: Vec<String>,
    /// The packages, each perhaps with a version or a suite.
    pub packages: Vec<String>,
}

/// Returns the kind of a toolchain that a Debian package asks for, as far as its name tells.
pub fn guessed_kind(package: &str) -> Kind {
    let name = plain(package);
    let is = |beginning: &str| {
        name.strip_prefix(beginning).is_some_and(|rest| {
            rest.is_empty()
                || rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
        })
    };
    let is_interpreter = name
        .strip_prefix("python3")
        .is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b.is_ascii_digit()));
    if is("gcc") || is("clang") || is("g++") {
        Kind::Cc
    } else if is_interpreter {
        Kind::Python
    } else if name.starts_with("lib") && name.ends_with("-dev") || name.ends_with("g-dev") {
        Kind::Library
    } else {
        Kind::Tool
    }
}

/// Returns the name of a toolchain for a Debian package: that of the package without its version, for
/// a compiler or an interpreter also without the version in its name.
///
/// # Errors
/// If no name of a toolchain can be made of it.
pub fn guessed_name(package: &str) -> Result<ToolchainName> {
    let name = plain(package);
    let version = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    let short = match guessed_kind(package) {
        Kind::Cc | Kind::Python => name.trim_end_matches(version),
        _ => name,
    };
    let clean: String = short
        .chars()
        .map(|c| match c {
            '+' => 'x',
            '.' => '-',
            c => c,
        })
        .collect();
    clean.parse().map_err(|why: String| {
        Error::user(format!("no name of a toolchain can be made of the package {package:?}"))
            .because(why)
            .hint("name the toolchain: --name NAME")
    })
}

/// Returns the packages without which a named one is of little use, as the templates of `init` name
/// them: the headers of C and C++ come with `g++`, and pip, headers, certificates and time zones with a
/// Python.
pub fn companions(package: &str) -> Vec<String> {
    let name = plain(package);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    match (guessed_kind(package), name.strip_prefix("gcc"), name.strip_prefix("python3")) {
        (Kind::Cc, Some(version), _) => vec![format!("g++{version}")],
        (Kind::Python, _, Some(version)) => {
            let mut out =
                vec![format!("python3{version}-venv"), format!("libpython3{version}-dev")];
            out.extend(owned(&[
                "python3-pip",
                "ca-certificates",
                "tzdata",
                "ncurses-base",
                "libstdc++6",
            ]));
            out
        }
        _ => vec![],
    }
}

/// The name of a package without its version or suite.
fn plain(package: &str) -> &str {
    package.split(['=', '/']).next().unwrap_or(package)
}

/// Returns the text with tables for new toolchains behind those that are there.
///
/// # Errors
/// If the text is no TOML, or if there is such a toolchain already.
pub fn with_toolchains(text: &str, new: &[NewToolchain]) -> Result<String> {
    let mut document = read(text)?;
    let of_others = suite_of(&document);
    let tables = document.entry("toolchains").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let tables = tables
        .as_table_like_mut()
        .ok_or_else(|| Error::user("`toolchains` of toolchains.toml is no table"))?;
    for toolchain in new {
        if tables.contains_key(toolchain.name.as_str()) {
            return Err(Error::user(format!("there is a toolchain {} already", toolchain.name)));
        }
        let mut table = Table::new();
        table.insert("kind", text_item(toolchain.kind.as_str()));
        table.insert("source", text_item("debian"));
        let mut keys = vec![];
        match (toolchain.suites.as_slice(), &of_others) {
            ([], Some(others)) => keys.extend(others.clone()),
            ([], None) => keys.push(("suite".to_owned(), suites_of_release(DEFAULT_RELEASE))),
            ([one], _) if RELEASES.contains(&one.as_str()) => {
                keys.push(("suite".to_owned(), suites_of_release(one)));
            }
            ([one], _) => keys.push(("suite".to_owned(), Value::from(one.as_str()))),
            (several, _) => {
                keys.push(("suite".to_owned(), Value::Array(several.iter().collect())));
            }
        }
        for (key, value) in keys {
            table.insert(&key, Item::Value(value));
        }
        let packages: Array = toolchain.packages.iter().collect();
        table.insert("packages", Item::Value(Value::Array(packages)));
        tables.insert(toolchain.name.as_str(), Item::Table(table));
    }
    Ok(with_line_ends_of(text, &document.to_string()))
}

/// Returns the text without the tables of some toolchains and sets of requirements, and without the
/// comments that stand directly above them.
///
/// # Errors
/// If the text is no TOML.
pub fn without(text: &str, names: &[ToolchainName]) -> Result<String> {
    let mut document = read(text)?;
    for name in names {
        for group in ["toolchains", "requirements"] {
            let Some(tables) = document.get_mut(group).and_then(Item::as_table_like_mut) else {
                continue;
            };
            let Some(removed) = tables.remove(name.as_str()) else { continue };
            if tables.is_empty() && !text.contains(&format!("[{group}]")) {
                document.remove(group);
            }
            keep_detached(&mut document, &removed);
        }
    }
    Ok(with_line_ends_of(text, &document.to_string()))
}

/// A comment above a table, but with an empty line between the two, does not belong to it. It stays
/// when the table is removed.
fn keep_detached(document: &mut DocumentMut, removed: &Item) {
    let mut tables = vec![];
    each_table(removed, &mut |table| tables.push((table.position(), prefix(table))));
    let Some((position, before)) = tables.into_iter().filter(|(at, _)| at.is_some()).min() else {
        return;
    };
    // The offset of the last empty line.
    let mut attached = 0;
    let mut at = 0;
    for line in before.split_inclusive('\n') {
        if line.trim().is_empty() {
            attached = at;
        }
        at += line.len();
    }
    let kept = if before[..attached].contains('#') { &before[..attached] } else { "" };
    let mut later: Vec<Option<isize>> = vec![];
    let mut is_first = true;
    each_table(document.as_item(), &mut |table| {
        if table.position() > position {
            later.push(table.position());
        } else if table.position().is_some() && !table.is_implicit() {
            is_first = false;
        }
    });
    is_first &= document.as_table().get_values().is_empty();
    let Some(next) = later.into_iter().min() else {
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing(format!("{kept}{trailing}"));
        return;
    };
    each_table_mut(document.as_item_mut(), &mut |table| {
        if table.position() == next {
            let own = prefix(table);
            let own = if is_first && kept.is_empty() {
                own.trim_start_matches(['\r', '\n'])
            } else {
                &own
            };
            table.decor_mut().set_prefix(format!("{kept}{own}"));
        }
    });
}

fn prefix(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.unwrap_or_default().to_owned()
}

/// Calls `see` for each table in an item that has a header of its own.
fn each_table(item: &Item, see: &mut dyn FnMut(&Table)) {
    match item {
        Item::Table(table) => {
            see(table);
            table.iter().for_each(|(_, below)| each_table(below, see));
        }
        Item::ArrayOfTables(tables) => {
            for table in tables {
                see(table);
                table.iter().for_each(|(_, below)| each_table(below, see));
            }
        }
        Item::None | Item::Value(_) => {}
    }
}

/// Like [`each_table`], for changes.
fn each_table_mut(item: &mut Item, change: &mut dyn FnMut(&mut Table)) {
    match item {
        Item::Table(table) => {
            change(table);
            table.iter_mut().for_each(|(_, below)| each_table_mut(below, change));
        }
        Item::ArrayOfTables(tables) => {
            for table in tables.iter_mut() {
                change(table);
                table.iter_mut().for_each(|(_, below)| each_table_mut(below, change));
            }
        }
        Item::None | Item::Value(_) => {}
    }
}

/// Returns the places in a manifest, with a description each, that name a toolchain.
pub fn users(manifest: &Manifest, name: &ToolchainName) -> Vec<(Range<usize>, String)> {
    let mut out = vec![];
    for toolchain in manifest.toolchains.values() {
        for library in toolchain.libraries.iter().filter(|library| library.value == *name) {
            let what = format!("`libraries` of [toolchains.{}]", toolchain.name);
            out.push((library.span.clone(), what));
        }
    }
    for set in manifest.requirements.values() {
        let of_key = |key: &'static str| move |span: &Range<usize>| (span.clone(), key);
        let python = set.python.iter().filter(|p| p.value == *name).map(|p| &p.span);
        let tools = set.build_tools.iter().filter(|t| t.value == *name).map(|t| &t.span);
        let libraries = set.libraries.iter().filter(|l| l.value == *name).map(|l| &l.span);
        let uv = [&set.uv].into_iter().filter(|uv| uv.value == *name).map(|uv| &uv.span);
        let all = python.map(of_key("python"));
        let all = all.chain(tools.map(of_key("build_tools"))).chain(uv.map(of_key("uv")));
        let all = all.chain(libraries.map(of_key("libraries")));
        out.extend(
            all.map(|(span, key)| (span, format!("`{key}` of [requirements.{}]", set.name))),
        );
    }
    let mut ignored = Problems::new("", "");
    for (emitter, fields) in &manifest.emit {
        let listed = fields.clone().string_list("toolchains", &mut ignored).unwrap_or_default();
        let named = listed.into_iter().filter(|item| item.value == name.as_str());
        out.extend(named.map(|item| (item.span, format!("`toolchains` of [emit.{emitter}]"))));
    }
    out.sort_by_key(|(span, _)| span.start);
    out
}

/// Returns a text with the line ends that another one has throughout: toml_edit writes LF.
fn with_line_ends_of(old: &str, new: &str) -> String {
    let (all, windows) = (old.matches('\n').count(), old.matches("\r\n").count());
    if windows > 0 && windows == all {
        return new.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    new.to_owned()
}

fn read(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|e: toml_edit::TomlError| {
        Error::user("toolchains.toml can't be edited: it is no TOML").cause(&e)
    })
}

fn text_item(text: &str) -> Item {
    Item::Value(Value::from(text))
}

/// Returns the keys of the first toolchain of Debian packages that say where they come from. The
/// formatting of an array on several lines is kept.
fn suite_of(document: &DocumentMut) -> Option<Vec<(String, Value)>> {
    let tables = document.get("toolchains")?.as_table_like()?;
    let is_debian = |item: &&Item| item.get("source").and_then(Item::as_str) == Some("debian");
    let first = tables.iter().map(|(_, item)| item).find(is_debian)?;
    let value = |key: &&str| {
        let mut value = first.get(key)?.as_value()?.clone();
        value.decor_mut().clear();
        Some(((*key).to_owned(), value))
    };
    let keys: Vec<_> =
        ["suite", "archive", "components", "snapshot"].iter().filter_map(value).collect();
    keys.iter().any(|(key, _)| key == "suite").then_some(keys)
}

/// Returns a release of Debian with its updates and its security updates.
fn suites_of_release(release: &str) -> Value {
    let mut security = InlineTable::new();
    security.insert("archive", "debian-security".into());
    security.insert("suite", format!("{release}-security").into());
    let mut out = Array::new();
    out.push(release);
    out.push(format!("{release}-updates"));
    out.push(security);
    Value::Array(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, packages: &[&str]) -> NewToolchain {
        NewToolchain {
            name: name.parse().expect("a name"),
            kind: guessed_kind(packages[0]),
            suites: vec![],
            packages: packages.iter().map(|p| (*p).to_owned()).collect(),
        }
    }

    fn name(text: &str) -> ToolchainName {
        text.parse().expect("a name")
    }

    #[test]
    fn kinds_and_names_follow_from_packages() {
        for (package, kind, name) in [
            ("gcc-12", Kind::Cc, "gcc"),
            ("gcc", Kind::Cc, "gcc"),
            ("clang-19=1:19.1", Kind::Cc, "clang"),
            ("gcc-doc", Kind::Tool, "gcc-doc"),
            ("clang-format", Kind::Tool, "clang-format"),
            ("python3.11", Kind::Python, "python"),
            ("python3", Kind::Python, "python"),
            ("python3-yaml", Kind::Tool, "python3-yaml"),
            ("libssl-dev", Kind::Library, "libssl-dev"),
            ("zlib1g-dev", Kind::Library, "zlib1g-dev"),
            ("golang-1.19/bookworm", Kind::Tool, "golang-1-19"),
            ("g++", Kind::Cc, "gxx"),
        ] {
            assert_eq!(guessed_kind(package), kind, "{package}");
            assert_eq!(guessed_name(package).expect("a name").as_str(), name, "{package}");
        }
        assert!(guessed_name("0ad").is_err());
        assert_eq!(companions("gcc-12"), ["g++-12"]);
        assert!(companions("gcc-doc").is_empty());
    }

    #[test]
    fn a_table_comes_behind_the_others_with_their_suites_and_the_rest_stays() {
        let text = "# Top.\nplatforms = [ 'x86_64-linux' ] # odd\n\n# GCC.\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"trixie\" # here\npackages = [\n  \"gcc\", # c\n]\n\n# The set.\n[requirements.app]\npython = \"python\"\n# end\n";
        let added =
            with_toolchains(text, &[new("cmake", &["cmake", "ninja-build"])]).expect("TOML");
        let table = "\n[toolchains.cmake]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"trixie\"\npackages = [\"cmake\", \"ninja-build\"]\n";
        let at = text.find("\n# The set.").expect("it is there");
        assert_eq!(added, format!("{}{table}{}", &text[..at], &text[at..]));
        assert_eq!(without(&added, &[name("cmake")]).expect("TOML"), text);
        let again = with_toolchains(&added, &[new("cmake", &["cmake"])]).expect_err("twice");
        assert!(again.message().contains("already"));
    }

    #[test]
    fn an_empty_manifest_gets_three_suites() {
        let added = with_toolchains("", &[new("cmake", &["cmake"])]).expect("TOML");
        assert_eq!(
            added,
            "[toolchains.cmake]\nkind = \"tool\"\nsource = \"debian\"\nsuite = [\"bookworm\", \"bookworm-updates\", { archive = \"debian-security\", suite = \"bookworm-security\" }]\npackages = [\"cmake\"]\n"
        );
        let mut one = new("x", &["x"]);
        one.suites = vec!["sid".to_owned()];
        assert!(with_toolchains("", &[one]).expect("TOML").contains("suite = \"sid\"\n"));
    }

    #[test]
    fn only_the_comment_that_belongs_to_a_table_goes_with_it() {
        let a = "# About the file.\n\n# About a.\n[toolchains.a]\nkind = \"tool\"\n[toolchains.a.env]\nX = \"1\"\n";
        let b = "\n# Section.\n\n# About b.\n[toolchains.b]\nkind = \"tool\"\n";
        let end = "\n# The end.\n";
        let text = format!("{a}{b}{end}");
        assert_eq!(
            without(&text, &[name("a")]).expect("TOML"),
            format!("# About the file.\n{b}{end}")
        );
        assert_eq!(without(&text, &[name("b")]).expect("TOML"), format!("{a}\n# Section.\n{end}"));
        assert_eq!(
            without("[toolchains.a]\nkind = 1\n\n[toolchains.b]\nkind = 2\n", &[name("a")])
                .expect("TOML"),
            "[toolchains.b]\nkind = 2\n"
        );
        assert_eq!(
            without("toolchains.a.kind = 1\nx = 1\n", &[name("a")]).expect("TOML"),
            "x = 1\n"
        );
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let text = "# A tool.\r\n[toolchains.a]\r\nkind = \"tool\"\r\n[toolchains.b]\r\nkind = \"tool\"\r\n";
        let left = without(text, &[name("b")]).expect("it is TOML");
        assert_eq!(left, text[..text.find("[toolchains.b]").expect("it is there")]);
        let more = with_toolchains(text, &[new("c", &["jq"])]).expect("it is TOML");
        assert!(
            more.starts_with(text) && more.matches('\n').count() == more.matches("\r\n").count()
        );
        let mixed = "[toolchains.a]\r\nkind = \"tool\"\n";
        assert!(with_toolchains(mixed, &[new("c", &["jq"])]).is_ok());
    }
}
