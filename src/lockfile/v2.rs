//! Version 2 of the lock: a typed specification for each kind, the list of trees that each tree
//! uses, and the format and the component of each input. `docs/lockfile.md` describes it for users.

use std::collections::{BTreeMap, BTreeSet};

use super::building;
use super::entry::{Edited, LockedTree, Lockfile, Output, Plan, TrustedRelease};
use super::evaluation;
use super::fingerprint::Fingerprint;
use super::paths;
use super::spec::{
    CcSpec, LibrarySpec, PackagesRole, PackagesSpec, Programs, PythonSpec, Selection, Spec,
    SysrootSpec, ToolSpec,
};
use super::uses::Uses;
use crate::manifest::{Fields, Problems, Spanned, environment_fault, parsed, root_table};
use crate::model::{
    Built, Component, Digest, Format, Input, Kind, Layout, Location, Platform, SourcePackage,
    ToolchainName,
};
use crate::text::terminal::is_hidden;
use crate::text::toml::Table;

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: i64 = 2;

/// What happens to an entry that stands in the lock twice with the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// It is a problem.
    Refused,
    /// One of the two counts.
    Merged,
}

/// Reads the text. Problems are added to `problems`.
pub fn read(text: &str, twice: Twice, problems: &mut Problems) -> Lockfile {
    let mut lock = Lockfile::default();
    let mut used: Vec<(ToolchainName, std::ops::Range<usize>)> = vec![];
    let mut root = root_table("the lock", text, problems);
    root.number("version", problems);
    for mut fields in root.table_list("tree", problems) {
        let span = fields.span();
        let before = problems.count();
        let noted: Option<Digest> = required(&mut fields, "digest", problems);
        let Some(tree) = read_tree(fields, problems) else { continue };
        if problems.count() > before {
            continue;
        }
        let now = digest(&tree);
        let edited = noted.filter(|noted| *noted != now).map(|noted| Edited { noted, now });
        let (name, platform) = (tree.plan.name.clone(), tree.plan.platform);
        let tree = LockedTree { edited, ..tree };
        if let Some(first) = lock.get(&name, platform) {
            let advice = match (*first == tree, twice) {
                (true, Twice::Merged) => continue,
                (true, Twice::Refused) => "with the same content: `cotter lock` keeps one of them",
                (false, _) => "and the two differ: delete the wrong one, then run `cotter lock`",
            };
            problems.add(span, format!("{name} for {platform} stands here twice, {advice}"));
            continue;
        }
        let uses = tree.plan.uses.make.iter().chain(&tree.plan.uses.run);
        used.extend(uses.map(|name| (name.clone(), span.clone())));
        lock.put(tree);
    }
    root.finish(problems);
    if problems.count() == 0 {
        let known: BTreeSet<&ToolchainName> = lock.trees.keys().map(|(name, _)| name).collect();
        for (name, span) in used {
            if !known.contains(&name) {
                problems.add(span, format!("`uses` names {name}, which the lock has no entry of"));
            }
        }
    }
    lock
}

fn read_tree(mut fields: Fields, problems: &mut Problems) -> Option<LockedTree> {
    let span = fields.span();
    let name = required::<ToolchainName>(&mut fields, "name", problems);
    let platform = required::<Platform>(&mut fields, "platform", problems);
    let kind = required::<Kind>(&mut fields, "kind", problems);
    let source = plain(&mut fields, "source", problems);
    let version = plain(&mut fields, "version", problems);
    let recipe = required(&mut fields, "recipe", problems);
    let store_name_span = fields.value_span("store_name");
    let store_name = required(&mut fields, "store_name", problems);
    let nar_hash = required(&mut fields, "nar_hash", problems);
    let nar_size = fields.required_number("nar_size", problems);
    let spec = {
        let mut table =
            fields.table("spec", problems).unwrap_or_else(|| fields.nothing("[tree.spec]"));
        let spec =
            kind.zip(platform).and_then(|(kind, own)| read_spec(kind, own, &mut table, problems));
        // Without a kind, it is unknown which keys belong here.
        if kind.is_some() {
            table.finish(problems);
        }
        spec
    };
    let mut uses = Uses::default();
    if let Some(mut table) = fields.table("uses", problems) {
        uses.make = names(&mut table, "make", problems);
        uses.run = names(&mut table, "run", problems);
        table.finish(problems);
    }
    let mut releases = vec![];
    for mut table in fields.table_list("releases", problems) {
        let mut text = |key| plain(&mut table, key, problems);
        let (archive, suite, date, key) =
            (text("archive"), text("suite"), text("date"), text("key"));
        if let (Some(archive), Some(suite), Some(date), Some(key)) = (archive, suite, date, key) {
            releases.push(TrustedRelease { archive, suite, date, key });
        }
        table.finish(problems);
    }
    let mut inputs = vec![];
    let tables = fields.table_list("inputs", problems);
    // The requirements of a set may be none.
    if tables.is_empty()
        && kind != Some(Kind::Packages)
        && let (Some(name), Some(platform)) = (&name, &platform)
    {
        problems.add(span, format!("{name} for {platform} has no inputs"));
    }
    for table in tables {
        inputs.extend(read_input(table, problems));
    }
    let evaluation = fields.table("evaluation", problems);
    let evaluation = evaluation.and_then(|table| evaluation::read(table, problems));
    let building = fields.table("build", problems);
    let building = building.and_then(|table| building::read(table, problems));
    let fingerprint = fields.string_lists("fingerprint", problems);
    fields.finish(problems);
    let plan = Plan {
        name: name?,
        platform: platform?,
        spec: spec?,
        source: source?,
        version: version?,
        recipe: recipe?,
        uses,
        fingerprint: Fingerprint::of_entries(fingerprint),
        releases,
        evaluation,
        building,
        inputs,
    };
    let output = Output { store_name: store_name?, nar_hash: nar_hash?, nar_size: nar_size?.value };
    if output.store_name.name() != plan.tree_name() {
        problems.add(
            store_name_span,
            format!(
                "store_name: expected it to end in {:?}, as name, version and platform say, got {:?}",
                plan.tree_name(),
                output.store_name.as_str()
            ),
        );
    }
    Some(LockedTree::new(plan, output))
}

fn read_spec(
    kind: Kind,
    own: Platform,
    table: &mut Fields,
    problems: &mut Problems,
) -> Option<Spec> {
    let selection = Selection {
        prune: strings(table, "prune", problems),
        keep: strings(table, "keep", problems),
    };
    let mut programs = |table: &mut Fields| {
        let self_exe = strings(table, "self_exe", problems);
        let bin = string_map(table, "bin", problems);
        let named = strings(table, "named", problems);
        let essential = strings(table, "essential", problems);
        let span = table.key_span("env");
        let env = string_map(table, "env", problems);
        for (name, value) in &env {
            if let Some(why) = environment_fault(name, value) {
                problems.add(span.clone(), why);
            }
        }
        Programs { self_exe, bin, named, essential, env }
    };
    Some(match kind {
        Kind::Cc => {
            let programs = programs(table);
            let target = parsed(table, "target", problems).unwrap_or(own);
            let libraries = names(table, "libraries", problems);
            Spec::Cc(CcSpec { target, libraries, selection, programs })
        }
        Kind::Python => {
            let programs = programs(table);
            let version = python_version(table, "version", problems);
            let abi = plain(table, "abi", problems);
            Spec::Python(PythonSpec { version: version?, abi: abi?, selection, programs })
        }
        Kind::Tool => Spec::Tool(ToolSpec { programs: programs(table), selection }),
        Kind::Library => Spec::Library(LibrarySpec { selection }),
        Kind::Sysroot => {
            let libraries = names(table, "libraries", problems);
            Spec::Sysroot(SysrootSpec { libraries, selection })
        }
        Kind::Packages => {
            let set = required(table, "set", problems);
            let interpreter = required(table, "interpreter", problems);
            let python = python_version(table, "python", problems);
            let abi = plain(table, "abi", problems);
            let role = table.required_string("role", problems).and_then(|role| {
                let known = [PackagesRole::Set, PackagesRole::Builds]
                    .into_iter()
                    .find(|r| r.as_str() == role.value);
                if known.is_none() {
                    let got = role.value;
                    problems.add(
                        role.span,
                        format!("expected \"set\" or \"builds\" for \"role\", got {got:?}"),
                    );
                }
                known
            });
            let build_tools = names(table, "build_tools", problems);
            let libraries = names(table, "libraries", problems);
            let editable = table.string_list("editable", problems).unwrap_or_default();
            for directory in &editable {
                if directory.value.starts_with('/') || directory.value.contains(['\n', ':']) {
                    problems.add(
                        directory.span.clone(),
                        format!("expected a directory of the project, got {:?}", directory.value),
                    );
                }
            }
            Spec::Packages(PackagesSpec {
                set: set?,
                interpreter: interpreter?,
                python: python?,
                abi: abi?,
                role: role?,
                editable: editable.into_iter().map(|directory| directory.value).collect(),
                build_tools,
                libraries,
                selection,
            })
        }
    })
}

/// Takes a table of strings. The result is empty if the table does not exist.
fn string_map(table: &mut Fields, key: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Some(mut entries) = table.table(key, problems) {
        for name in entries.keys() {
            out.extend(entries.string(&name, problems).map(|text| (name, text.value)));
        }
    }
    out
}

fn read_input(mut table: Fields, problems: &mut Problems) -> Option<Input> {
    let span = table.span();
    let mut locations: Vec<Location> = vec![];
    for key in ["url", "urls"] {
        for url in table.string_list(key, problems).unwrap_or_default() {
            match url.value.parse() {
                Ok(location) => locations.push(location),
                Err(why) => problems.add(url.span, format!("{key}: {why}")),
            }
        }
    }
    let size = table.required_number("size", problems);
    let sha256 = required(&mut table, "sha256", problems);
    let format = required::<Format>(&mut table, "format", problems);
    let component = table.table("component", problems).and_then(|mut component| {
        let ecosystem = required(&mut component, "ecosystem", problems);
        let name = plain(&mut component, "name", problems);
        let version = plain(&mut component, "version", problems);
        let source = optional(&mut component, "source", problems);
        let source_version = optional(&mut component, "source_version", problems);
        component.finish(problems);
        Some(Component {
            ecosystem: ecosystem?,
            name: name?,
            version: version?,
            source: source.map(|name| SourcePackage { name, version: source_version }),
        })
    });
    let layout = Layout {
        strip_prefix: optional(&mut table, "strip_prefix", problems),
        file_name: optional(&mut table, "file_name", problems),
        only: strings(&mut table, "only", problems),
    };
    let requires = strings(&mut table, "requires", problems);
    let built = table.table("built", problems).and_then(|mut built| {
        let file = plain(&mut built, "file", problems);
        let size = built.required_number("size", problems);
        let sha256 = required(&mut built, "sha256", problems);
        built.finish(problems);
        Some(Built { file: file?, size: size?.value, sha256: sha256? })
    });
    let nix = table.table("nix", problems).and_then(|nix| paths::read(nix, problems));
    table.finish(problems);
    if format.is_some_and(|format| (format == Format::Nar) != nix.is_some()) {
        problems
            .add(span.clone(), "an input of the format \"nar\", and no other, has the key \"nix\"");
    }
    if locations.is_empty() && !nix.as_ref().is_some_and(|nix| nix.built) {
        problems.add(span.clone(), "an input needs the key \"url\" or \"urls\"");
    }
    let Some(component) = component else {
        problems.add(span, "an input needs the key \"component\"");
        return None;
    };
    Some(Input {
        locations,
        size: size?.value,
        sha256: sha256?,
        format: format?,
        component,
        layout,
        requires,
        built,
        nix,
    })
}

fn required<T: std::str::FromStr<Err = String>>(
    fields: &mut Fields,
    key: &str,
    problems: &mut Problems,
) -> Option<T> {
    fields.require(key, problems);
    parsed(fields, key, problems)
}

/// Takes a text that is shown to people. A control character could forge lines on a terminal.
fn plain(fields: &mut Fields, key: &str, problems: &mut Problems) -> Option<String> {
    fields.require(key, problems);
    optional(fields, key, problems)
}

/// Takes a text like [`plain`], if it is there.
fn optional(fields: &mut Fields, key: &str, problems: &mut Problems) -> Option<String> {
    let text = fields.string(key, problems)?;
    if let Some(c) = text.value.chars().find(|c| is_hidden(*c)) {
        problems.add(text.span, format!("{key}: got the control character U+{:04X}", c as u32));
        return None;
    }
    Some(text.value)
}

/// Takes the version of a Python, such as `3.11`, which is a part of paths.
fn python_version(fields: &mut Fields, key: &str, problems: &mut Problems) -> Option<String> {
    let span = fields.value_span(key);
    let version = plain(fields, key, problems)?;
    let is_number = |part: &str| crate::model::decimal(part).is_some();
    if !version.split('.').all(is_number) {
        problems.add(span, format!("{key}: expected a version such as \"3.11\", got {version:?}"));
        return None;
    }
    Some(version)
}

fn strings(fields: &mut Fields, key: &str, problems: &mut Problems) -> Vec<String> {
    let list = fields.string_list(key, problems).unwrap_or_default();
    list.into_iter().map(|s| s.value).collect()
}

fn names(fields: &mut Fields, key: &str, problems: &mut Problems) -> Vec<ToolchainName> {
    let list = fields.string_list(key, problems).unwrap_or_default();
    let mut parse = |item: Spanned<String>| match item.value.parse() {
        Ok(name) => Some(name),
        Err(why) => {
            let why: String = why;
            problems.add(item.span, format!("{key}: {why}"));
            None
        }
    };
    list.into_iter().filter_map(&mut parse).collect()
}

/// Returns the text of a lock.
pub fn render(lock: &Lockfile) -> String {
    let mut out = String::from("# Made by `cotter lock`. Commit this file; do not edit it.\n");
    out.push_str(&format!("version = {VERSION}\n"));
    for tree in lock.trees.values() {
        let digest = tree.edited.map_or_else(|| digest(tree), |edited| edited.noted);
        out.push_str("\n[[tree]]\n");
        out.push_str(&entry(tree, Some(&digest), true));
    }
    out
}

/// Returns the digest of an entry: of all its content except the locations of its inputs, because a
/// mirror may be changed by hand.
fn digest(tree: &LockedTree) -> Digest {
    Digest::of(entry(tree, None, false).as_bytes())
}

fn entry(tree: &LockedTree, digest: Option<&Digest>, locations: bool) -> String {
    let (plan, output) = (&tree.plan, &tree.output);
    let mut head = Table::default();
    head.string("name", plan.name.as_str())
        .string("platform", plan.platform.as_str())
        .string("kind", plan.spec.kind().as_str())
        .string("source", &plan.source)
        .string("version", &plan.version)
        .string("recipe", &plan.recipe.to_string())
        .string("store_name", output.store_name.as_str())
        .string("nar_hash", &output.nar_hash.sri())
        .number("nar_size", output.nar_size)
        .maybe_string("digest", digest.map(Digest::sri).as_deref());
    let mut uses = Table::default();
    uses.some_strings("make", &texts(&plan.uses.make)).some_strings("run", &texts(&plan.uses.run));
    head.some_table("uses", &uses);
    head.some_table("spec", &spec(&plan.spec, plan.platform));
    if let Some(evaluation) = &plan.evaluation {
        head.some_table("evaluation", &evaluation::table(evaluation));
    }
    if let Some(building) = &plan.building {
        head.some_table("build", &building::table(building));
    }
    let mut out = head.lines();
    if !plan.releases.is_empty() {
        out.push_str("releases = [\n");
        for r in &plan.releases {
            let mut table = Table::default();
            table
                .string("archive", &r.archive)
                .string("suite", &r.suite)
                .string("date", &r.date)
                .string("key", &r.key);
            out.push_str(&format!("  {},\n", table.inline()));
        }
        out.push_str("]\n");
    }
    out.push_str("inputs = [\n");
    for i in &plan.inputs {
        out.push_str(&format!("  {},\n", input(i, locations)));
    }
    out.push_str("]\n[tree.fingerprint]\n");
    let mut fingerprint = Table::default();
    for (key, values) in plan.fingerprint.entries() {
        fingerprint.strings(key, values);
    }
    out + &fingerprint.lines()
}

fn texts(names: &[ToolchainName]) -> Vec<&str> {
    names.iter().map(ToolchainName::as_str).collect()
}

fn spec(spec: &Spec, own: Platform) -> Table {
    let mut out = Table::default();
    match spec {
        Spec::Cc(cc) => {
            let target = (cc.target != own).then(|| cc.target.as_str());
            out.maybe_string("target", target).some_strings("libraries", &texts(&cc.libraries));
        }
        Spec::Python(python) => {
            out.string("version", &python.version).string("abi", &python.abi);
        }
        Spec::Sysroot(sysroot) => {
            out.some_strings("libraries", &texts(&sysroot.libraries));
        }
        Spec::Tool(_) | Spec::Library(_) => {}
        Spec::Packages(packages) => {
            out.string("set", packages.set.as_str())
                .string("role", packages.role.as_str())
                .string("interpreter", packages.interpreter.as_str())
                .string("python", &packages.python)
                .string("abi", &packages.abi)
                .some_strings("editable", &packages.editable)
                .some_strings("build_tools", &texts(&packages.build_tools))
                .some_strings("libraries", &texts(&packages.libraries));
        }
    }
    let selection = spec.selection();
    out.some_strings("prune", &selection.prune).some_strings("keep", &selection.keep);
    if let Some(programs) = spec.programs() {
        let (mut bin, mut env) = (Table::default(), Table::default());
        for (name, path) in &programs.bin {
            bin.string(name, path);
        }
        for (name, value) in &programs.env {
            env.string(name, value);
        }
        out.some_strings("self_exe", &programs.self_exe)
            .some_table("bin", &bin)
            .some_table("env", &env)
            .some_strings("named", &programs.named)
            .some_strings("essential", &programs.essential);
    }
    out
}

fn input(input: &Input, locations: bool) -> String {
    let mut out = Table::default();
    if locations {
        let urls: Vec<String> = input.locations.iter().map(ToString::to_string).collect();
        match urls.as_slice() {
            [] => &mut out,
            [one] => out.string("url", one),
            many => out.strings("urls", many),
        };
    }
    out.number("size", input.size)
        .string("sha256", &input.sha256.hex())
        .string("format", input.format.as_str());
    let component = &input.component;
    let mut inner = Table::default();
    inner
        .string("ecosystem", component.ecosystem.as_str())
        .string("name", &component.name)
        .string("version", &component.version);
    if let Some(source) = &component.source {
        inner
            .string("source", &source.name)
            .maybe_string("source_version", source.version.as_deref());
    }
    out.some_table("component", &inner)
        .maybe_string("strip_prefix", input.layout.strip_prefix.as_deref())
        .maybe_string("file_name", input.layout.file_name.as_deref())
        .some_strings("only", &input.layout.only)
        .some_strings("requires", &input.requires);
    if let Some(built) = &input.built {
        let mut inner = Table::default();
        inner
            .string("file", &built.file)
            .number("size", built.size)
            .string("sha256", &built.sha256.hex());
        out.some_table("built", &inner);
    }
    if let Some(nix) = &input.nix {
        out.some_table("nix", &paths::table(nix));
    }
    out.inline()
}
