//! Finds the commands of Essential packages that a tree starts and does not contain: interpreters of
//! its scripts, commands in its shell scripts, and the shell of its programs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::essential::{TERMINFO, is_essential, package_of};
use super::layers::Owners;
use super::notes::MissingCommand;
use crate::error::Result;
use crate::lockfile::Plan;
use crate::model::MemberPath;
use crate::relocate::scripts::requested_interpreter;
use crate::text::shell_commands::commands;
use crate::tree::{Blob, Node, Tree};

/// The greatest length in bytes of a shell script that is read.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// Commands that start the command which follows them.
const WRAPPERS: &[&str] = &[
    "!", "builtin", "command", "do", "elif", "else", "env", "exec", "if", "nice", "nohup", "then",
    "time", "until", "while", "xargs", "{",
];

/// Commands whose arguments are shell text.
const EVALUATORS: &[&str] = &["bash", "dash", "eval", "sh", "trap"];

/// Commands that programs start although none of their files shows it: R keeps its functions
/// compressed, and finds programs with `which`.
const HIDDEN: &[(&str, &[&str])] = &[("usr/lib/R/library/base/R/base.rdb", &["which"])];

/// The places of the descriptions of terminals.
const TERMINFO_PLACES: &[&str] = &["usr/lib/terminfo", "usr/share/terminfo"];

/// Returns the commands of Essential packages that the tree lacks, sorted.
///
/// The interpreter of every executable script counts, except those of Essential packages
/// themselves. Commands count in the shell scripts of the packages that the manifest names and in
/// the scripts that these start. A program that can start a shell counts wherever it is.
///
/// # Errors
/// If a staged file cannot be read.
pub fn missing(plan: &Plan, tree: &Tree, owners: &Owners) -> Result<Vec<MissingCommand>> {
    let named = plan.spec.programs().map_or(&[][..], |p| &p.named);
    let mut survey = Survey { tree, missing: BTreeMap::new() };
    let mut todo: VecDeque<MemberPath> = VecDeque::new();
    for (path, node) in tree.iter() {
        let Node::File { blob, executable } = node else { continue };
        let owner = owners.component(plan, path).unwrap_or_default();
        let is_named = named.iter().any(|name| name == owner);
        let head = blob.head(512)?;
        if *executable
            && (is_named || !is_essential(owner))
            && let Some(interpreter) = requested_interpreter(&head)
        {
            survey.need(interpreter.rsplit('/').next().unwrap_or_default(), path);
        }
        if is_named && is_shell_script(path, &head) {
            todo.push_back(path.clone());
        }
    }
    let mut read: BTreeSet<MemberPath> = todo.iter().cloned().collect();
    while let Some(path) = todo.pop_front() {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        if blob.size() > LONGEST_SCRIPT {
            continue;
        }
        for name in started(&String::from_utf8_lossy(&blob.read()?)) {
            survey.need(&name, &path);
            if let Some((real, blob)) = program(tree, &name)
                && is_shell_script(&real, &blob.head(512)?)
                && read.insert(real.clone())
            {
                todo.push_back(real);
            }
        }
    }
    for (file, commands) in HIDDEN {
        let file = MemberPath::literal(file);
        for name in commands.iter().filter(|_| tree.exists(&file)) {
            survey.need(name, &file);
        }
    }
    let mut libraries = tree.iter().map(|(path, _)| path);
    if let Some(path) = libraries.find(|path| path.file_name().starts_with("libtinfo.so."))
        && !TERMINFO_PLACES.iter().any(|dir| tree.exists(&MemberPath::literal(dir)))
    {
        survey.need(TERMINFO, path);
    }
    if program(tree, "sh").is_none()
        && !survey.missing.contains_key("sh")
        && let Some(path) = starter_of_shells(plan, tree, owners)?
    {
        survey.need("sh", &path);
    }
    let missing = survey.missing.into_iter();
    Ok(missing.map(|(name, needed_by)| MissingCommand { name, needed_by }).collect())
}

struct Survey<'a> {
    tree: &'a Tree,
    missing: BTreeMap<String, MemberPath>,
}

impl Survey<'_> {
    /// Records that a file needs a command, if an Essential package has the command and the tree
    /// lacks it.
    fn need(&mut self, name: &str, by: &MemberPath) {
        if package_of(name).is_some() && program(self.tree, name).is_none() {
            self.missing.entry(name.to_owned()).or_insert_with(|| by.clone());
        }
    }
}

/// Returns the program with a name in the directories that are on every PATH.
fn program<'t>(tree: &'t Tree, name: &str) -> Option<(MemberPath, &'t Blob)> {
    ["usr/bin", "usr/sbin"].iter().find_map(|dir| {
        let path = MemberPath::parse(format!("{dir}/{name}").as_bytes()).ok()??;
        tree.file(&path)
    })
}

fn is_shell_script(path: &MemberPath, head: &[u8]) -> bool {
    let shells = ["sh", "bash", "dash"];
    match requested_interpreter(head) {
        Some(interpreter) => shells.contains(&interpreter.rsplit('/').next().unwrap_or_default()),
        None => path.file_name().ends_with(".sh"),
    }
}

/// Returns the names of the commands that a shell script starts, without the functions that it
/// defines. A command in a variable (`SED=sed`) counts, too.
fn started(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut functions = BTreeSet::new();
    collect(text, 0, &mut out, &mut functions);
    out.retain(|name| !functions.contains(name));
    out
}

fn collect(text: &str, depth: usize, out: &mut BTreeSet<String>, functions: &mut BTreeSet<String>) {
    for words in commands(text) {
        let mut expected = true;
        for (i, word) in words.iter().enumerate() {
            if let Some(name) = word.strip_suffix("()") {
                functions.insert(name.to_owned());
                continue;
            }
            if !expected {
                break;
            }
            if let Some((name, value)) = word.split_once('=')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            {
                out.extend(command_name(value));
                continue;
            }
            let wraps = WRAPPERS.contains(&word.as_str());
            let is_option = i > 0 && word.starts_with('-');
            out.extend(command_name(word));
            expected = wraps || is_option;
            if EVALUATORS.contains(&word.as_str()) && depth < 2 {
                for argument in words[i + 1..].iter().filter(|w| w.contains(' ')) {
                    collect(argument, depth + 1, out, functions);
                }
            }
        }
    }
}

/// Returns the name of the command that a word names, by itself or by an absolute path of a system
/// directory.
fn command_name(word: &str) -> Option<String> {
    let dirs = ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"];
    let name = dirs.iter().find_map(|dir| word.strip_prefix(dir)).unwrap_or(word);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    (!name.is_empty() && name.bytes().all(plain)).then(|| name.to_owned())
}

/// Returns a program or a library that starts shells: it imports `system` or `popen` from the libc,
/// or names `/bin/sh`. Those of named packages are searched first.
fn starter_of_shells(plan: &Plan, tree: &Tree, owners: &Owners) -> Result<Option<MemberPath>> {
    let named = plan.spec.programs().map_or(&[][..], |p| &p.named);
    let mut files: Vec<(bool, &MemberPath, &Blob)> = vec![];
    for (path, node) in tree.iter() {
        let Node::File { blob, .. } = node else { continue };
        let owner = owners.component(plan, path).unwrap_or_default();
        let is_named = named.iter().any(|name| name == owner);
        // The libc defines these functions.
        if owner != "libc6" && (is_named || !is_essential(owner)) && blob.head(4)? == b"\x7fELF" {
            files.push((!is_named, path, blob));
        }
    }
    files.sort_by_key(|(unnamed, ..)| *unnamed);
    for (_, path, blob) in files {
        let bytes = blob.read()?;
        let starts = |text: &[u8]| matches!(text, b"system" | b"popen" | b"/bin/sh");
        if bytes.split(|b| *b == 0).any(starts) {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn started_commands_are_found_and_words_are_not() {
        let text = "#!/bin/sh\n# find nothing here\nset -e\nSED=sed; AWK=${AWK-awk}\n\
            die() { echo \"find $1\" >&2; exit 1; }\nsort() { :; }\n\
            trap 'rm -f \"$tmp\"' 0\nif ! grep -q x \"$(dirname \"$0\")\"; then\n  exec env LC_ALL=C find . | xargs -0 touch\nfi\n\
            cat <<END | /bin/tr a b\ntar is only text\nEND\nsort x; die; tool --with cut\n";
        let found = started(text);
        for command in
            ["sed", "rm", "grep", "dirname", "env", "find", "xargs", "touch", "cat", "tr", "tool"]
        {
            assert!(found.contains(command), "{command}: {found:?}");
        }
        for word in ["tar", "sort", "die", "cut", "here"] {
            assert!(!found.contains(word), "{word}: {found:?}");
        }
    }
}
