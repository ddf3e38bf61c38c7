//! Scripts: a `#!` line names a path of the host. A script whose interpreter is in the tree gets a
//! launcher that starts it. Any other script is dropped, because it could run only with files of
//! the host.

use super::launcher::{Argv0, Instructions, Runtime, is_dynamic_program, render};
use super::symlinks::usrmerged;
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::tree::{BlobDir, Node, Tree};

/// A script that cannot be started, because its interpreter is not in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedScript {
    /// The script.
    pub path: MemberPath,
    /// The `#!` line.
    pub line: String,
    /// The interpreter, as the line names it. It is empty if the line names none.
    pub interpreter: String,
    /// Whether the script was removed. Otherwise it is still there as a text that cannot be
    /// executed.
    pub removed: bool,
}

/// What happens to the executable bit of a script that lies outside of the places of programs and
/// whose interpreter is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// It stays, because programs of the tree start such scripts with the tree's interpreter.
    Keep,
    /// It is removed.
    Clear,
}

/// Returns the interpreter of a script as its `#!` line names it: the program that `env` would look
/// up, or a path.
pub fn requested_interpreter(head: &[u8]) -> Option<&str> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    let program = words.next()?;
    if program.ends_with("/env") {
        return words.find(|w| !w.starts_with('-') && !w.contains('='));
    }
    Some(program)
}

/// Returns the interpreter of a script, as a path below the root, and its argument. If the
/// interpreter is `env`, the result is the program that `env` would find in `/usr/bin`.
pub fn interpreter(head: &[u8]) -> Option<(MemberPath, Option<String>)> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_whitespace();
    let program = words.next()?;
    let rest: Vec<&str> = words.collect();
    if program.ends_with("/env") {
        let name = rest.iter().find(|w| !w.starts_with('-') && !w.contains('='))?;
        return Some((MemberPath::parse(format!("usr/bin/{name}").as_bytes()).ok()??, None));
    }
    let path = MemberPath::parse(program.trim_start_matches('/').as_bytes()).ok()??;
    Some((usrmerged(&path), (!rest.is_empty()).then(|| rest.join(" "))))
}

/// The directory beside launchers of scripts that holds the scripts' text. `launcher/policy.h` knows
/// the name.
const SCRIPTS: &str = ".scripts";

/// Whether programs are looked up by name in this place. A script elsewhere may be a module that is
/// imported, and must not change.
fn is_program_place(path: &MemberPath) -> bool {
    let dir = path.parent().map(|d| d.to_string()).unwrap_or_default();
    ["bin", "usr/bin", "usr/sbin", "usr/games"].contains(&dir.as_str())
        || dir.ends_with(".data/scripts")
}

/// Adapts every executable script of the tree. `instructions` are those by which an interpreter is
/// otherwise started (its variables apply to the script, too).
///
/// A script among the programs is moved to the directory `.scripts/` next to it, under its own
/// name, and a launcher takes its place. A script elsewhere stays where it is, with the executable
/// bit that `bits` determines, and a link to it from among the programs becomes a launcher.
///
/// Returns the scripts that cannot be started, because their interpreter is missing.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn settle(
    tree: &mut Tree,
    blobs: &BlobDir,
    platform: Platform,
    runtime: Option<&Runtime>,
    instructions: &dyn Fn(&MemberPath) -> Instructions,
    bits: Bits,
) -> Result<Vec<DroppedScript>> {
    let mut dropped = vec![];
    for path in tree.paths(|_, node| matches!(node, Node::File { executable: true, .. })) {
        let Some(Node::File { blob, .. }) = tree.get(&path).cloned() else { continue };
        let head = blob.head(512)?;
        if !head.starts_with(b"#!") {
            continue;
        }
        let found = interpreter(&head).and_then(|(program, arg)| {
            let (real, _) = tree.file(&program)?;
            Some((real, arg))
        });
        if found.is_none() {
            let interpreter = requested_interpreter(&head).unwrap_or_default().to_owned();
            let removed = is_program_place(&path);
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            dropped.push(DroppedScript { path: path.clone(), line, interpreter, removed });
        }
        let script = Node::File { blob, executable: false };
        if !is_program_place(&path) {
            if bits == Bits::Clear || found.is_none() {
                tree.put(path.clone(), script);
            }
            for link in links_to(tree, &path) {
                // A chain of links needs only one launcher, at its end.
                let last = matches!(tree.get(&link), Some(Node::Symlink(t)) if link.resolve_link(t).as_ref() == Some(&path));
                let named = bits == Bits::Keep && link.file_name() != path.file_name();
                match &found {
                    Some((program, arg)) if last || named => {
                        let script = if named { alias(tree, &link, &path) } else { path.clone() };
                        let launcher = launcher(
                            tree,
                            platform,
                            runtime,
                            &link,
                            &script,
                            program,
                            arg.as_deref(),
                            instructions,
                        )?;
                        tree.put(
                            link,
                            Node::File { blob: blobs.put(&launcher)?, executable: true },
                        );
                    }
                    Some(_) => {}
                    None => drop(tree.remove(&link)),
                }
            }
            continue;
        }
        // While the script is there, its links lead to it.
        let links = if bits == Bits::Keep { links_to(tree, &path) } else { vec![] };
        tree.remove(&path);
        if let Some((program, arg)) = found {
            let dir = path.parent().expect("a program lies in a directory");
            let to = MemberPath::literal(&format!("{dir}/{SCRIPTS}/{}", path.file_name()));
            let launcher = launcher(
                tree,
                platform,
                runtime,
                &path,
                &to,
                &program,
                arg.as_deref(),
                instructions,
            )?;
            tree.put(to.clone(), script);
            tree.put(path.clone(), Node::File { blob: blobs.put(&launcher)?, executable: true });
            for link in links.iter().filter(|l| l.file_name() != path.file_name()) {
                let script = alias(tree, link, &to);
                let arg = arg.as_deref();
                let launcher = self::launcher(
                    tree,
                    platform,
                    runtime,
                    link,
                    &script,
                    &program,
                    arg,
                    instructions,
                )?;
                let blob = blobs.put(&launcher)?;
                tree.put(link.clone(), Node::File { blob, executable: true });
            }
        }
    }
    Ok(dropped)
}

/// Returns the links among the programs that lead to `path`.
fn links_to(tree: &Tree, path: &MemberPath) -> Vec<MemberPath> {
    tree.paths(|p, node| {
        matches!(node, Node::Symlink(_))
            && is_program_place(p)
            && tree.real_path(p).as_ref() == Some(path)
    })
}

/// Puts a link with the name of `link` into `.scripts/`, which leads to the script. A script that
/// has several names finds the one by which it was started in its own path, as it would if the
/// kernel had started it: TeX's `mktexfmt` is a link to `fmtutil`.
fn alias(tree: &mut Tree, link: &MemberPath, script: &MemberPath) -> MemberPath {
    let dir = link.parent().expect("a program lies in a directory");
    let alias = MemberPath::literal(&format!("{dir}/{SCRIPTS}/{}", link.file_name()));
    tree.link(alias.clone(), script);
    alias
}

/// Whether an interpreter finds the files of a script beside the real path of the script.
fn resolves_links(program: &MemberPath) -> bool {
    matches!(program.file_name(), "node" | "nodejs")
}

/// Returns the launcher that is located at `at` and runs `script` with the interpreter `program`.
#[expect(clippy::too_many_arguments, reason = "each is one thing, and there are two callers")]
fn launcher(
    tree: &Tree,
    platform: Platform,
    runtime: Option<&Runtime>,
    at: &MemberPath,
    script: &MemberPath,
    program: &MemberPath,
    arg: Option<&str>,
    instructions: &dyn Fn(&MemberPath) -> Instructions,
) -> Result<Vec<u8>> {
    let mut how = instructions(program);
    how.argv0 = Argv0::Path(program.clone());
    how.args.extend(arg.map(str::to_owned));
    let dynamic = match tree.get(program) {
        Some(Node::File { blob, .. }) => is_dynamic_program(program, blob, platform, platform)?,
        _ => false,
    };
    let dynamic = dynamic && !how.in_place;
    // An interpreter that is redirected reads the text in place of the launcher. It gets the path of
    // the launcher, so that a script finds the files beside it and itself by `$0`.
    let is_beside = script.parent().is_some_and(|dir| dir.file_name() == SCRIPTS);
    // Node.js resolves the links of a program before it looks for what the program requires.
    let elsewhere = tree
        .real_path(script)
        .and_then(|real| real.parent())
        .is_some_and(|dir| dir.file_name() != SCRIPTS);
    let follows = elsewhere && resolves_links(program);
    let named = if dynamic && how.redirect && is_beside && !follows { at } else { script };
    how.args.push(format!("%R/{named}"));
    how.library_args.clear();
    // The interpreter's own launcher will be at `program` when the tree is finished: start its
    // target directly.
    let target = if dynamic {
        program.with_file_name(&format!(".{}.real", program.file_name()))
    } else {
        program.clone()
    };
    render(runtime.filter(|_| dynamic), platform, at, &target, &how)
}
