//! The actions of a build, as reported by `bazel aquery --output=jsonproto`, and their accesses to
//! the host.
//!
//! The format is `analysis_v2.proto` of Bazel, in the JSON mapping of protocol buffers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    ACTION_ENV, ACTION_PROGRAM, Finding, GENRULE_PROGRAM, HOST_ARCHIVER, HOST_INCLUDE, HOST_LINKER,
    HOST_PATH, PATH_LOOKUP, is_host_path, shell,
};

/// The value of PATH that Bazel sets for actions with `--incompatible_strict_action_env`.
const STRICT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

/// One action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// The kind of the action.
    pub mnemonic: String,
    /// The target that it belongs to.
    pub label: String,
    /// Its command line, followed by the content of its parameter files.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Its outputs, relative to the execution root.
    pub outputs: Vec<String>,
}

/// The action graph of a build.
#[derive(Debug, Default)]
pub struct Graph {
    /// The actions.
    pub actions: Vec<Action>,
    /// Every file, relative to the execution root.
    pub artifacts: Vec<String>,
}

impl Graph {
    /// Parses the output of aquery.
    ///
    /// # Errors
    /// A sentence, if the output does not have the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root: Value = serde_json::from_str(text)
            .map_err(|e| format!("bazel aquery did not print JSON: {e}"))?;
        let list = |key: &str| root[key].as_array().map_or(&[][..], Vec::as_slice);
        let id = |v: &Value| {
            v.as_u64()
                .map(|n| n.to_string())
                .or_else(|| v.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let fragments: BTreeMap<String, (String, String)> = list("pathFragments")
            .iter()
            .map(|f| (id(&f["id"]), (text(&f["label"]), id(&f["parentId"]))))
            .collect();
        let path_of = |leaf: &str| {
            let (mut parts, mut next) = (vec![], leaf.to_owned());
            while let Some((label, parent)) = fragments.get(&next) {
                parts.push(label.as_str());
                next.clone_from(parent);
                if parts.len() > 1000 {
                    break;
                }
            }
            parts.reverse();
            parts.join("/")
        };
        let artifacts: BTreeMap<String, String> = list("artifacts")
            .iter()
            .map(|a| {
                (
                    id(&a["id"]),
                    a["execPath"]
                        .as_str()
                        .map_or_else(|| path_of(&id(&a["pathFragmentId"])), str::to_owned),
                )
            })
            .collect();
        let targets: BTreeMap<String, String> = list("targets")
            .iter()
            .map(|t| (id(&t["id"]), plain_label(t["label"].as_str().unwrap_or_default())))
            .collect();
        let strings =
            |v: &Value| v.as_array().into_iter().flatten().map(text).collect::<Vec<String>>();
        let mut graph = Graph { actions: vec![], artifacts: artifacts.values().cloned().collect() };
        for action in list("actions") {
            let mut arguments = strings(&action["arguments"]);
            for file in action["paramFiles"].as_array().into_iter().flatten() {
                arguments.extend(strings(&file["arguments"]));
            }
            graph.actions.push(Action {
                mnemonic: text(&action["mnemonic"]),
                label: targets.get(&id(&action["targetId"])).cloned().unwrap_or_default(),
                arguments,
                environment: action["environmentVariables"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|e| (text(&e["key"]), text(&e["value"])))
                    .collect(),
                outputs: action["outputIds"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|o| artifacts.get(&id(o)).cloned())
                    .collect(),
            });
        }
        Ok(graph)
    }
}

/// Returns the label in its short form: `//a:b` for `@//a:b` and `@@//a:b`.
fn plain_label(label: &str) -> String {
    let plain = label.trim_start_matches('@');
    if plain.starts_with("//") { plain.to_owned() } else { label.to_owned() }
}

/// Examines an action. `script` reads a file of the execution root, which is needed for the text of
/// a long genrule. `inherited` tells whether a variable has this value in the caller's environment.
pub fn look(
    action: &Action,
    script: &dyn Fn(&str) -> Option<String>,
    inherited: &dyn Fn(&str, &str) -> bool,
) -> Vec<Finding> {
    let mut out = vec![];
    let add = |out: &mut Vec<Finding>, rule, reason: String| {
        out.push(Finding::new(rule, action.label.clone(), reason))
    };
    for (name, value) in &action.environment {
        let is_path = name == "PATH" && value != STRICT_PATH;
        // A rule may also set these to a value that a caller happens to have.
        let is_usual = name.starts_with("LC_")
            || matches!(name.as_str(), "PATH" | "LANG" | "TZ" | "PWD" | "TMPDIR");
        if is_path || (!is_usual && !value.is_empty() && inherited(name, value)) {
            add(
                &mut out,
                &ACTION_ENV,
                format!(
                    "{} runs with {name}={}",
                    action.mnemonic,
                    if is_path { value.as_str() } else { "... of the caller's environment" }
                ),
            );
        }
    }
    let Some((program, arguments)) = action.arguments.split_first() else { return out };
    if action.mnemonic == "TestRunner" {
        return out;
    }
    let is_shell = matches!(program.rsplit('/').next(), Some("bash" | "sh" | "dash"));
    if is_shell {
        let text = match arguments {
            [flag, text, ..] if flag.starts_with('-') && flag.contains('c') => Some(text.clone()),
            [path, ..] => script(path),
            [] => None,
        };
        if let Some(text) = text {
            shell_text(&text, action, &mut out);
        }
        return out;
    }
    if is_host_path(program) {
        add(
            &mut out,
            if is_archiver(program) { &HOST_ARCHIVER } else { &ACTION_PROGRAM },
            format!("{} starts {program}", action.mnemonic),
        );
    }
    let mut previous = "";
    for argument in arguments {
        let after = |flags: &[&'static str]| {
            flags
                .iter()
                .find_map(|f| {
                    argument.strip_prefix(f).filter(|rest| is_host_path(rest)).map(|_| ())
                })
                .or_else(|| (flags.contains(&previous) && is_host_path(argument)).then_some(()))
        };
        if let Some(linker) = argument.strip_prefix("-fuse-ld=") {
            if !matches!(linker, "bfd" | "gold") {
                add(&mut out, &HOST_LINKER, format!("links with {argument}"));
            }
        } else if after(&["-B", "--ld-path="]).is_some() {
            add(&mut out, &HOST_LINKER, format!("links with {argument}"));
        } else if after(&[
            "-I",
            "-isystem",
            "-iquote",
            "-idirafter",
            "-include",
            "-isysroot",
            "--sysroot=",
        ])
        .is_some()
        {
            add(&mut out, &HOST_INCLUDE, format!("{} has {argument}", action.mnemonic));
        } else if after(&["-L", "-Wl,-L", "-Wl,-rpath-link,"]).is_some() {
            add(&mut out, &HOST_PATH, format!("{} has {argument}", action.mnemonic));
        } else if !argument.contains("rpath")
            && !argument.contains("dynamic-linker")
            && previous != "-rpath"
            && let Some(path) = argument.split(['=', ':', ',']).find(|p| is_host_path(p) && p.len() > 1)
            // A definition is text for the program, and not a path for the compiler.
            && !argument.starts_with("-D")
        {
            add(&mut out, &HOST_PATH, format!("{} has {path}", action.mnemonic));
        }
        if argument != "-Xlinker" {
            previous = argument;
        }
    }
    out
}

/// Examines the options that Bazel reports with `--announce_rc`, to find variables that it passes
/// on with whatever value the caller has. The command lines do not show them.
pub fn look_at_options(said: &str, workspace: &str) -> Vec<Finding> {
    let mut out = vec![];
    let mut file = String::new();
    for line in said.lines() {
        if let Some((_, path)) =
            line.split_once(" from ").filter(|_| line.contains("rc options for '"))
        {
            let path = path.trim_end_matches(':');
            file =
                path.strip_prefix(workspace).map_or(path, |p| p.trim_start_matches('/')).to_owned();
        }
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            for flag in ["--action_env", "--host_action_env"] {
                let value = if word == flag {
                    words.clone().next()
                } else {
                    word.strip_prefix(flag).and_then(|v| v.strip_prefix('='))
                };
                if let Some(name) = value.filter(|v| !v.contains('=')) {
                    out.push(Finding::new(
                        &ACTION_ENV,
                        file.clone(),
                        format!("{flag}={name} hands on the caller's {name}"),
                    ));
                }
            }
        }
    }
    out
}

fn is_archiver(program: &str) -> bool {
    matches!(program.rsplit('/').next(), Some("ar" | "gcc-ar" | "llvm-ar" | "libtool"))
}

fn shell_text(text: &str, action: &Action, out: &mut Vec<Finding>) {
    let calls = shell::read(text);
    let (archivers, programs): (Vec<&String>, Vec<&String>) =
        calls.by_name.iter().partition(|p| is_archiver(p));
    let unique = |list: &[&String]| {
        let mut names: Vec<&str> = list.iter().map(|s| s.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let mut add = |rule, reason: String| out.push(Finding::new(rule, action.label.clone(), reason));
    if !programs.is_empty() {
        add(&GENRULE_PROGRAM, format!("calls {}, which PATH finds", unique(&programs)));
    }
    if !archivers.is_empty() {
        add(&HOST_ARCHIVER, format!("calls {}, which PATH finds", unique(&archivers)));
    }
    for program in &calls.by_path {
        if is_archiver(program) {
            add(&HOST_ARCHIVER, format!("calls {program}"));
        } else if is_host_path(program) {
            add(&ACTION_PROGRAM, format!("calls {program}"));
        }
    }
    for lookup in &calls.lookups {
        add(&PATH_LOOKUP, format!("has {lookup}"));
    }
    if let Some(path) = calls.paths.first() {
        add(&HOST_PATH, format!("names {path}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(arguments: &[&str]) -> Vec<&'static str> {
        let action = Action {
            arguments: arguments.iter().map(|s| (*s).to_owned()).collect(),
            ..Action::default()
        };
        look(&action, &|_| None, &|_, _| false).into_iter().map(|f| f.id).collect()
    }

    #[test]
    fn command_lines() {
        assert_eq!(
            ids(&[
                "external/gcc/usr/bin/gcc",
                "-I/usr/include",
                "-c",
                "a.c",
                "-o",
                "bazel-out/a.o"
            ]),
            ["host-include"]
        );
        assert_eq!(
            ids(&["external/gcc/usr/bin/gcc", "-L/usr/lib/x86_64-linux-gnu", "-lpq"]),
            ["host-path"]
        );
        assert!(ids(&["tool", "--label", "//pkg:target", "https://example.org/x"]).is_empty());
        assert_eq!(
            ids(&["external/gcc/usr/bin/gcc", "-isystem", "/usr/include"]),
            ["host-include"]
        );
        assert_eq!(
            ids(&["external/gcc/usr/bin/gcc", "-fuse-ld=lld", "-B/usr/bin"]),
            ["host-linker", "host-linker"]
        );
        assert_eq!(ids(&["/usr/bin/ar", "rcs", "a.a"]), ["host-archiver"]);
        assert_eq!(ids(&["/usr/bin/gcc", "-c"]), ["action-program"]);
        assert_eq!(ids(&["/bin/bash", "-c", "python3 x"]), ["genrule-program"]);
        assert!(
            ids(&[
                "external/gcc/usr/bin/gcc",
                "-ffile-prefix-map=/proc/self/cwd=.",
                "-Wl,-rpath,$ORIGIN/../x",
                "-fuse-ld=gold"
            ])
            .is_empty()
        );
    }
}
