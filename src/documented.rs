//! Tests that the documentation and the schemas describe exactly what the program supports. A new
//! verb, flag or key fails a test here until it is documented.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use serde_json::Value;

use crate::cli::Cli;
use crate::lockfile::Lockfile;
use crate::manifest::{Manifest, Problems, asked};
use crate::source;

const COMMANDS: &str = include_str!("../docs/commands.md");
const LOCK: &str = include_str!("../docs/lockfile.md");
const MANIFEST: &str = include_str!("../docs/manifest.md");
const PACKAGES: &str = include_str!("../docs/python-packages.md");
const BAZEL: &str = include_str!("../docs/bazel.md");
const EDITORS: &str = include_str!("../docs/guides/editors.md");
const AUDIT: &str = include_str!("../docs/audit.md");
const ENVIRONMENT: &str = include_str!("../docs/environment.md");

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Returns the flags, `--word`, in a text.
fn flags(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.split(|c: char| !word(c)).filter(|w| w.starts_with("--") && w.len() > 2).collect()
}

/// Returns a command with all its subcommands.
fn with_all_below(command: &clap::Command) -> Vec<&clap::Command> {
    let mut out = vec![command];
    command.get_subcommands().for_each(|below| out.extend(with_all_below(below)));
    out
}

#[test]
fn every_verb_flag_and_choice_is_documented() {
    let mut cli = Cli::command();
    cli.build();
    let mut sections = COMMANDS.split("\n## ");
    let head = sections.next().expect("split gives one part at least");
    let sections: BTreeMap<&str, &str> = sections
        .map(|section| {
            let title = section.split('\n').next().unwrap_or_default();
            (title.trim_start_matches("`cotter ").trim_end_matches('`'), section)
        })
        .collect();
    let verbs: BTreeSet<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(
        verbs,
        sections.keys().copied().collect(),
        "verbs, and sections of docs/commands.md"
    );
    let global: BTreeSet<String> = cli
        .get_arguments()
        .filter(|a| a.is_global_set())
        .filter_map(|a| Some(format!("--{}", a.get_long()?)))
        .collect();
    let mut problems = vec![];
    for flag in &global {
        if !flags(head).contains(flag.as_str()) {
            problems.push(format!("the head of docs/commands.md lacks {flag}"));
        }
    }
    // Of each verb, clap has one more that prints its help.
    let is_own = |verb: &&clap::Command| verb.get_name() != "help";
    for verb in cli.get_subcommands().filter(is_own) {
        let (name, section) = (verb.get_name(), sections[verb.get_name()]);
        let written = flags(section);
        let mut known = global.clone();
        for argument in with_all_below(verb).into_iter().flat_map(clap::Command::get_arguments) {
            if ["help", "version"].contains(&argument.get_id().as_str()) || argument.is_global_set()
            {
                continue;
            }
            if let Some(long) = argument.get_long() {
                let flag = format!("--{long}");
                if !written.contains(flag.as_str()) {
                    problems.push(format!("`cotter {name}` lacks {flag}"));
                }
                known.insert(flag);
            }
            if argument.get_action().takes_values() {
                // The value with this name exists only in tests.
                let choices = argument.get_possible_values();
                for choice in choices.iter().filter(|choice| choice.get_name() != "dummy") {
                    if !section.contains(choice.get_name()) {
                        problems.push(format!("`cotter {name}` lacks {:?}", choice.get_name()));
                    }
                }
            }
        }
        for below in verb.get_subcommands().filter(is_own) {
            if !section.contains(&format!("`cotter {name} {}", below.get_name())) {
                problems.push(format!("`cotter {name}` lacks {}", below.get_name()));
            }
        }
        for flag in written.iter().filter(|flag| !known.contains(**flag)) {
            problems.push(format!("`cotter {name}` has {flag}, which is no flag of it"));
        }
    }
    none(&problems);
}

#[test]
fn every_flags_variable_is_documented() {
    let mut cli = Cli::command();
    cli.build();
    let mut problems = vec![];
    let mut count = 0;
    for argument in with_all_below(&cli).into_iter().flat_map(clap::Command::get_arguments) {
        let Some(variable) = argument.get_env().and_then(|v| v.to_str()) else {
            if argument.is_global_set() && argument.get_id() != "help" {
                problems.push(format!("the flag --{} has no variable", argument.get_id()));
            }
            continue;
        };
        count += 1;
        if !ENVIRONMENT.contains(&format!("`{variable}`")) {
            problems.push(format!("docs/environment.md lacks {variable}"));
        }
    }
    assert!(count > 8, "{count} variables");
    none(&problems);
}

/// The name of the tables in the manifest below, so that they can be recognised in the keys that
/// the parser asked for.
const TOOLCHAIN: &str = "a-toolchain";
const REQUIREMENTS: &str = "a-set";
const TASK: &str = "a-task";

/// Returns the keys for which the parser of a manifest asks when it meets every kind and every
/// source, by table. A key is asked for whether it exists or not.
fn keys_asked_for() -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for kind in crate::manifest::Kind::ALL {
        // One source exists only in tests.
        for source in source::names().filter(|name| *name != "dummy") {
            let text = format!(
                r#"
                [mirrors]
                [settings]
                [emit.bazel]
                [emit.editor]
                [[audit.allow]]
                id = "shebang"
                [toolchains.{TOOLCHAIN}]
                kind = "{kind}"
                source = "{source}"
                bin = {{}}
                env = {{}}
                suite = [{{}}]
                platform.x86_64-linux = {{}}
                [requirements.{REQUIREMENTS}]
                build_requires = []
                [tasks.{TASK}]
                env = {{}}
                "#
            );
            let mut problems = Problems::new("toolchains.toml", &text);
            let (_, keys) = asked::during(|| {
                let manifest = Manifest::parse(&text, &mut problems);
                crate::emit::bind(&manifest, &mut problems);
                source::bind(&manifest, &mut problems)
            });
            for (table, key) in keys {
                out.entry(table).or_default().insert(key);
            }
        }
    }
    out
}

#[test]
fn every_key_of_the_manifest_is_in_the_schema_and_the_docs() {
    let schema: Value =
        serde_json::from_str(include_str!("../templates/toolchains.schema.json")).expect("JSON");
    // For each table: its name in the parser, its place in the schema, and the page that explains
    // it.
    let tables = [
        ("the manifest", "", MANIFEST),
        ("[settings]", "/properties/settings", MANIFEST),
        ("[emit]", "/properties/emit", MANIFEST),
        ("[bazel]", "/properties/emit/properties/bazel", BAZEL),
        ("[editor]", "/properties/emit/properties/editor", EDITORS),
        ("[audit]", "/properties/audit", AUDIT),
        ("[[allow]]", "/properties/audit/properties/allow/items", AUDIT),
        (&format!("[{TOOLCHAIN}]"), "/$defs/toolchain", MANIFEST),
        (
            "[x86_64-linux]",
            "/$defs/toolchain/properties/platform/properties/x86_64-linux",
            MANIFEST,
        ),
        ("[[suite]]", "/$defs/suite", MANIFEST),
        (&format!("[{REQUIREMENTS}]"), "/$defs/requirements", PACKAGES),
        (&format!("[{TASK}]"), "/$defs/task", MANIFEST),
    ];
    // In these tables, the user chooses the keys.
    let free =
        ["[mirrors]", "[toolchains]", "[requirements]", "[tasks]", "[bin]", "[env]", "[platform]"];
    let asked = keys_asked_for();
    let mut problems = vec![];
    for table in asked.keys() {
        if !tables.iter().any(|(name, ..)| name == table) && !free.contains(&table.as_str()) {
            problems
                .push(format!("the table {table} has no place in the schema: give it one here"));
        }
    }
    for (table, pointer, page) in tables {
        let properties = schema.pointer(&format!("{pointer}/properties"));
        let listed: BTreeSet<String> = properties
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("the schema has no {pointer}"))
            .keys()
            .cloned()
            .collect();
        let keys = asked.get(table).unwrap_or_else(|| panic!("nothing of {table} was asked for"));
        for key in keys.difference(&listed) {
            problems.push(format!("the schema lacks {key} of {table}"));
        }
        for key in listed.difference(keys) {
            problems.push(format!("the schema has {key} of {table}, for which no code asks"));
        }
        for key in keys {
            let shown = [
                format!("`{key}`"),
                format!("\n{key} ="),
                format!("[{key}]"),
                format!("[{key}."),
                format!("[{}.{key}]", table.trim_matches(['[', ']'])),
            ];
            if !shown.iter().any(|form| page.contains(form)) {
                problems.push(format!("the docs lack {key} of {table}"));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_key_of_the_configuration_is_in_the_schema_and_the_docs() {
    let mut problems = Problems::new("config.toml", "");
    let (_, keys) =
        asked::during(|| crate::manifest::UserConfig::parse("[mirrors]\n", &mut problems));
    let of_root = keys.into_iter().filter(|(table, _)| table == "the configuration");
    let asked_for: BTreeSet<String> = of_root.map(|(_, key)| key).collect();
    let schema: Value =
        serde_json::from_str(include_str!("../templates/config.schema.json")).expect("JSON");
    let listed: BTreeSet<String> =
        schema["properties"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(asked_for, listed);
    let (_, section) = ENVIRONMENT.split_once("## The configuration file").expect("a section");
    for key in &listed {
        let shown = section.contains(&format!("- `{key}`: "))
            || section.contains(&format!("- `[{key}]`: "));
        assert!(shown, "docs/environment.md lacks {key} of the configuration");
    }
}

/// Collects the names of all properties in a JSON Schema.
fn properties(schema: &Value, out: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if let Some(named) = value.as_object().filter(|_| key == "properties") {
                    out.extend(named.keys().cloned());
                }
                properties(value, out);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| properties(value, out)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_lock_is_in_the_schema_and_the_docs() {
    let mut asked_for = BTreeSet::new();
    for kind in crate::model::Kind::ALL {
        let text = format!(
            "version = {}\n[[tree]]\nname = \"a-tree\"\nplatform = \"x86_64-linux\"\nkind = \"{kind}\"\nuses = {{}}\nspec = {{ bin = {{}} }}\nevaluation = {{}}\nbuild = {{}}\nreleases = [{{}}]\ninputs = [{{ component = {{}}, built = {{}}, nix = {{}} }}]\n[tree.fingerprint]\n",
            crate::lockfile::VERSION
        );
        let (lock, keys) = asked::during(|| Lockfile::parse(&text, "toolchains.lock"));
        assert!(lock.is_err(), "a lock without hashes was read");
        asked_for.extend(keys.into_iter().map(|(_, key)| key));
    }
    let schema: Value =
        serde_json::from_str(include_str!("../templates/toolchains-lock.schema.json"))
            .expect("JSON");
    let mut listed = BTreeSet::new();
    properties(&schema, &mut listed);
    assert_eq!(asked_for, listed, "the keys that the code asks for, and those of the schema");
    let mut problems = vec![];
    for key in &listed {
        let shown =
            [format!("`{key}`"), format!("{key} = "), format!("[{key}"), format!(".{key}]")];
        if !shown.iter().any(|form| LOCK.contains(form.as_str())) {
            problems.push(format!("docs/lockfile.md lacks {key}"));
        }
    }
    none(&problems);
}

#[test]
fn every_fate_of_a_constant_is_documented() {
    use crate::reach::{Fate, Reason, Why};
    let mut names: Vec<&str> = Reason::ALL.iter().map(|r| r.as_str()).collect();
    names.extend(Why::ALL.iter().map(|w| w.as_str()));
    let fates = [Fate::Redirected, Fate::Shared, Fate::Sealed, Fate::Machine, Fate::Embedded];
    names.extend(fates.map(Fate::as_str));
    names.extend([Fate::Explained(Reason::Shell).as_str(), Fate::Open(Why::Data).as_str()]);
    let problems: Vec<String> = names
        .iter()
        .filter(|name| !AUDIT.contains(&format!("`{name}`")))
        .map(|name| format!("docs/audit.md lacks {name}"))
        .collect();
    none(&problems);
}
