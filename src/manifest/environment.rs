//! The keys that concern the environment of programs: `host`, and `[toolchains.<name>.env]`.

use std::collections::BTreeMap;

use super::{Fields, PatternPlaces, Problems};

/// Takes the names of the commands of the host that may be started by name.
pub fn read_host(fields: &mut Fields, problems: &mut Problems) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for item in fields.string_list("host", problems).unwrap_or_default() {
        let name = &item.value;
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
        if !plain || (name.contains('*') && name != "*") {
            problems.add(
                item.span,
                format!("expected the name of a command, such as \"make\", or \"*\" for every command, got {name:?}"),
            );
        } else if out.contains(name) {
            problems.add(item.span, format!("{name:?} stands here twice"));
        } else {
            out.push(item.value);
        }
    }
    out
}

/// Takes the environment variables of a toolchain, and notes the places of their names.
pub fn read(
    fields: &mut Fields,
    places: &mut PatternPlaces,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(mut table) = fields.table("env", problems) else { return out };
    for name in table.keys() {
        let span = table.key_span(&name);
        let fault = fault(&name);
        if let Some(why) = &fault {
            problems.add(span.clone(), why);
        }
        let Some(value) = table.string(&name, problems) else { continue };
        if value.value.contains(|c: char| c.is_control()) {
            problems.add(
                value.span,
                format!("expected a value without control characters for {name:?}: launchers and roots hold it on one line"),
            );
        } else if fault.is_none() {
            places.insert(("env", name.clone()), problems.place(span.start));
            out.insert(name, value.value);
        }
    }
    out
}

/// Returns the reason why a variable cannot have a value, if there is one. Locks are held to it, too.
pub fn environment_fault(name: &str, value: &str) -> Option<String> {
    fault(name).or_else(|| {
        let control = value.contains(|c: char| c.is_control());
        control.then(|| format!("expected a value without control characters for {name:?}"))
    })
}

/// Returns the reason why a variable cannot be set, if there is one.
fn fault(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = !name.is_empty() && name.chars().all(plain);
    if !named || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!(
            "expected the name of a variable (letters, digits and underscores), got {name:?}"
        ));
    }
    let reason = match name {
        "PATH" => "`bin` gives the programs of the tree their names",
        _ if name.starts_with("LD_") => {
            "the loader of every program would heed it, and the launchers of the trees drop it"
        }
        _ if name.starts_with("COTTER_") => "these variables are cotter's own",
        _ => return None,
    };
    Some(format!("`env` can't set {name}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Manifest, Problems};

    #[test]
    fn what_cannot_be_set_or_started_is_told_with_its_reason() {
        let text = r#"host = ["make", "make", "a/b", "m*", ""]
[toolchains.go]
kind = "tool"
source = "debian"
[toolchains.go.env]
GOROOT = "%R/usr/lib/go"
PATH = "x"
LD_PRELOAD = "x"
COTTER_PURE = "x"
"A=B" = "x"
TWO = "a\nb"
N = 1
"#;
        let mut problems = Problems::new("toolchains.toml", text);
        let manifest = Manifest::parse(text, &mut problems);
        assert_eq!(manifest.host, ["make"]);
        let env = &manifest.toolchains.values().next().expect("one").env;
        assert_eq!(env.keys().collect::<Vec<_>>(), ["GOROOT"]);
        let found = problems.lines().join("\n");
        for part in [
            "1:17: \"make\" stands here twice",
            "1:25: expected the name of a command, such as \"make\", or \"*\" for every command, got \"a/b\"",
            "1:32: expected the name of a command",
            "1:38: expected the name of a command",
            "7:1: `env` can't set PATH: `bin` gives",
            "8:1: `env` can't set LD_PRELOAD: the loader",
            "9:1: `env` can't set COTTER_PURE: these variables are cotter's own",
            "10:1: expected the name of a variable (letters, digits and underscores), got \"A=B\"",
            "11:7: expected a value without control characters for \"TWO\"",
            "12:5: expected a string for \"N\", got an integer",
        ] {
            assert!(found.contains(part), "{part:?} is not in\n{found}");
        }
    }
}
