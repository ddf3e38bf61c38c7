//! Determines which programs a piece of shell text starts. This is not a complete shell: it looks
//! at the positions where a command can occur, and respects quotes and comments.

use crate::text::shell_commands::commands;

/// The built-in commands and the keywords of a POSIX shell or bash.
const BUILTINS: &[&str] = &[
    "!",
    ".",
    ":",
    "[",
    "[[",
    "]]",
    "alias",
    "bg",
    "break",
    "builtin",
    "case",
    "cd",
    "continue",
    "declare",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "if",
    "in",
    "let",
    "local",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "true",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
    "{",
    "}",
];

/// Words after which another command follows.
const PREFIXES: &[&str] =
    &["!", "do", "elif", "else", "exec", "if", "then", "time", "until", "while", "{", "eval"];

/// The actions of a text that concern the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// The programs that are found on PATH, by name and in order. The list is empty if the text has
    /// set PATH to pinned directories.
    pub by_name: Vec<String>,
    /// The programs that are started by an absolute path.
    pub by_path: Vec<String>,
    /// The ways in which PATH is searched or passed on.
    pub lookups: Vec<String>,
    /// The arguments that name interpreters by an absolute path, or other paths of the host.
    pub paths: Vec<String>,
}

/// Reads a text.
pub fn read(text: &str) -> Calls {
    let mut out = Calls::default();
    let mut pinned_path = false;
    let mut functions = vec![];
    for command in commands(text) {
        let mut words = command.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if let Some(value) = word.strip_prefix("PATH=") {
                pinned_path = is_pinned(value, &mut out);
                continue;
            }
            if is_assignment(word) || PREFIXES.contains(&word) {
                continue;
            }
            if let Some(name) = word.strip_suffix("()") {
                functions.push(name.to_owned());
                continue;
            }
            let rest: Vec<&str> = words.collect();
            match word {
                "export" | "readonly" | "declare" => {
                    for value in rest.iter().filter_map(|w| w.strip_prefix("PATH=")) {
                        pinned_path = is_pinned(value, &mut out);
                    }
                }
                "which" | "type" | "hash" => out.lookups.push(format!("{word} {}", rest.join(" "))),
                "command" if rest.first().is_some_and(|w| *w == "-v" || *w == "-V") => {
                    out.lookups.push(format!("command {}", rest.join(" ")))
                }
                "command" => {
                    called(rest.first().copied().unwrap_or(":"), pinned_path, &functions, &mut out)
                }
                "env" => {
                    out.lookups.push(format!("env {}", rest.join(" ")));
                    called("env", pinned_path, &functions, &mut out);
                }
                _ => called(word, pinned_path, &functions, &mut out),
            }
            out.paths.extend(
                rest.iter()
                    .flat_map(|w| w.split(['=', ':', ',']))
                    .filter(|w| is_under_the_root(w))
                    .map(|w| (*w).to_owned()),
            );
            break;
        }
    }
    out
}

/// Whether a value of PATH names nothing of the host.
fn is_pinned(value: &str, out: &mut Calls) -> bool {
    let host = |dir: &str| dir.is_empty() || dir.contains("PATH") || super::is_host_path(dir);
    let pinned = !value.split(':').any(host);
    if !pinned {
        out.lookups.push(format!("PATH={value}"));
    }
    pinned
}

fn called(word: &str, pinned_path: bool, functions: &[String], out: &mut Calls) {
    let plain = |s: &str| {
        s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-[".contains(&b))
            && !s.is_empty()
            && !s.starts_with('-')
    };
    if word.starts_with('/') {
        out.by_path.push(word.to_owned());
    } else if plain(word)
        && !pinned_path
        && !BUILTINS.contains(&word)
        && !functions.iter().any(|f| f == word)
    {
        out.by_name.push(word.to_owned());
    }
}

/// Whether a word names a place that exists on systems in general. Other words with a leading slash
/// may be patterns for sed or awk.
fn is_under_the_root(word: &str) -> bool {
    const TOP: &[&str] = &[
        "bin", "etc", "home", "lib", "lib32", "lib64", "mnt", "nix", "opt", "root", "run", "sbin",
        "snap", "srv", "usr", "var",
    ];
    super::is_host_path(word) && word[1..].split('/').next().is_some_and(|top| TOP.contains(&top))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_called() {
        let calls = read(
            "set -e; FOO=1 python3 x.py | sort > out && if test -f a; then /usr/bin/awk '{print}' b; fi # gcc\n echo \"$(date)\" `hostname`",
        );
        assert_eq!(calls.by_name, ["python3", "sort", "date", "hostname"]);
        assert_eq!(calls.by_path, ["/usr/bin/awk"]);
    }

    #[test]
    fn a_pinned_path_pins() {
        assert_eq!(
            read("PATH=$PWD/external/shell/usr/bin; seq 5 | sed s/a/b/").by_name,
            Vec::<String>::new()
        );
        assert_eq!(read("export PATH=$PWD/x:$PATH; seq 5").by_name, ["seq"]);
        assert_eq!(read("PATH=/usr/bin seq 5").by_name, ["seq"]);
    }

    #[test]
    fn functions_and_outputs_are_no_programs() {
        let calls = read(
            "f() { cat; }; f; bazel-out/bin/tool < in > /dev/null 2>&1; external/gcc/usr/bin/gcc -c x",
        );
        assert_eq!(calls.by_name, ["cat"]);
        assert_eq!(calls.by_path, Vec::<String>::new());
    }

    #[test]
    fn what_looks_like_a_command_but_is_none() {
        assert_eq!(
            read("cat > out <<EOF\nint main() { return 0; }\nEOF\nsort out").by_name,
            ["cat", "sort"]
        );
        assert_eq!(read("[[ -n $x && -n $y ]] && sort out").by_name, ["sort"]);
        assert_eq!(read("a=(x y z); (( i++ )); sort out").by_name, ["sort"]);
        assert_eq!(
            read("case $x in a) sort;; b) uniq;; esac; cut").by_name,
            ["sort", "uniq", "cut"]
        );
        assert_eq!(read("sed '/foo/d' a; awk '/x/{print}' /etc/passwd").paths, ["/etc/passwd"]);
    }

    #[test]
    fn lookups_are_found() {
        assert_eq!(read("CC=$(which cc); command -v ld").lookups, ["which cc", "command -v ld"]);
    }
}
