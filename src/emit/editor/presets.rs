//! `CMakeUserPresets.json`. Source: cmake-presets(7), version 3 (CMake 3.21).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::emit::api::{MachineTree, MachineTrees};
use crate::model::Kind;

/// The name of the preset of the compiler for this machine, and the beginning of the others' names.
const NAME: &str = "cotter";

/// Returns the file, if there is a compiler.
pub fn render(used: &MachineTrees, mark: &str) -> Option<String> {
    let compilers: Vec<&MachineTree> =
        used.trees.iter().filter(|tree| tree.kind == Kind::Cc).collect();
    let set = &used.changes.set;
    let mut configure = vec![];
    if let (Some(c), Some(cxx)) = (set.get("CC"), set.get("CXX"))
        && compilers.iter().any(|tree| !tree.is_cross)
    {
        configure.push(preset(NAME, "the pinned compiler", c, cxx, None, used));
    }
    let mut targets: Vec<&str> = vec![];
    for tree in compilers.iter().filter(|tree| tree.is_cross) {
        let cpu = tree.target.cpu();
        let of = |name: &str| set.get(&format!("{name}_{cpu}_unknown_linux_gnu"));
        let (Some(c), Some(cxx), false) = (of("CC"), of("CXX"), targets.contains(&cpu)) else {
            continue;
        };
        targets.push(cpu);
        let name = format!("{NAME}-{}", tree.name);
        configure.push(preset(&name, tree.name.as_str(), c, cxx, Some(cpu), used));
    }
    if configure.is_empty() {
        return None;
    }
    let build: Vec<Value> = configure
        .iter()
        .map(|preset| json!({ "name": preset["name"], "configurePreset": preset["name"] }))
        .collect();
    let file = json!({
        "version": 3,
        "cmakeMinimumRequired": { "major": 3, "minor": 21, "patch": 0 },
        "vendor": { "cotter": { "note": mark } },
        "configurePresets": configure,
        "buildPresets": build,
    });
    Some(format!("{file:#}\n"))
}

/// Returns a preset. `cpu` is that of the target if it is another platform.
fn preset(
    name: &str,
    compiler: &str,
    c: &str,
    cxx: &str,
    cpu: Option<&str>,
    used: &MachineTrees,
) -> Value {
    let mut cache = BTreeMap::from([
        ("CMAKE_C_COMPILER", plain(c)),
        ("CMAKE_CXX_COMPILER", plain(cxx)),
        ("CMAKE_EXPORT_COMPILE_COMMANDS", "ON".to_owned()),
    ]);
    if let Some(cpu) = cpu {
        cache.insert("CMAKE_SYSTEM_NAME", "Linux".to_owned());
        cache.insert("CMAKE_SYSTEM_PROCESSOR", cpu.to_owned());
    }
    let mut environment: Map<String, Value> =
        used.changes.set.iter().map(|(name, value)| (name.clone(), plain(value).into())).collect();
    environment.extend(used.changes.unset.iter().map(|name| (name.clone(), Value::Null)));
    let path = used.changes.path.iter().map(|dir| plain(dir)).collect::<Vec<_>>().join(":");
    environment.insert("PATH".to_owned(), format!("{path}:$penv{{PATH}}").into());
    let mut out = json!({
        "name": name,
        "displayName": format!("cotter: {compiler}"),
        "binaryDir": "${sourceDir}/build/${presetName}",
        "environment": environment,
    });
    if let Some(cmake) = used.programs.get("cmake") {
        out["cmakeExecutable"] = plain(cmake).into();
    }
    let generators = [("ninja", "Ninja"), ("make", "Unix Makefiles")];
    let pinned = generators
        .iter()
        .find_map(|(name, generator)| Some((used.programs.get(*name)?, generator)));
    if let Some((program, generator)) = pinned {
        out["generator"] = (*generator).into();
        cache.insert("CMAKE_MAKE_PROGRAM", plain(program));
    }
    out["cacheVariables"] = json!(cache);
    out
}

/// Returns a text in which CMake expands nothing.
fn plain(text: &str) -> String {
    text.replace('$', "${dollar}")
}
