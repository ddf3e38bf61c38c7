//! Linker scripts that stand for libraries: `libc.so` and `libm.a` of glibc are texts that name the
//! files to link. Source: the manual of GNU ld, "Implicit Linker Scripts" and "File Commands".

use crate::error::Result;
use crate::model::MemberPath;
use crate::relocate::symlinks::usrmerged;
use crate::tree::{BlobDir, Node, Tree};

/// The greatest size in bytes of a file that is read as a script. Those of Debian have less than
/// one kilobyte.
const GREATEST: u64 = 64 << 10;

/// The commands whose arguments are files.
const COMMANDS: &[&str] = &["GROUP", "INPUT"];

/// Rewrites the scripts in the directories of libraries. A linker searches an absolute path below
/// the sysroot only if it was told of it and finds the script there, and a name without a directory
/// in the directories that it searches for libraries. So a path becomes such a name wherever the
/// file of that name beside the script is the same.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn relocate(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let may_be_script = |path: &MemberPath, node: &Node| {
        let name = path.file_name();
        matches!(node, Node::File { blob, .. } if blob.size() <= GREATEST)
            && name.starts_with("lib")
            && (name.ends_with(".so") || name.ends_with(".a"))
    };
    for path in tree.paths(may_be_script) {
        let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
        let executable = *executable;
        let Ok(text) = String::from_utf8(blob.read()?) else { continue };
        if !COMMANDS.iter().any(|command| text.contains(command)) {
            continue;
        }
        let new = rewrite(&text, |absolute| name_beside(tree, &path, absolute));
        if new != text {
            let blob = blobs.put(new.as_bytes())?;
            tree.put(path, Node::File { blob, executable });
        }
    }
    Ok(())
}

/// Returns the name by which the script at `script` can name the file at an absolute path.
fn name_beside(tree: &Tree, script: &MemberPath, absolute: &str) -> Option<String> {
    let named = MemberPath::parse(absolute.trim_start_matches('/').as_bytes()).ok()??;
    let beside = script.with_file_name(named.file_name());
    let (real, _) = tree.file(&usrmerged(&named)).or_else(|| tree.file(&named))?;
    let (other, _) = tree.file(&beside)?;
    (real == other).then(|| named.file_name().to_owned())
}

/// Replaces the absolute paths among the words of a script. Comments stay as they are.
fn rewrite(text: &str, name_of: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("/*") {
            let end = after.find("*/").map_or(rest.len(), |at| at + 4);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let separates = |c: char| c.is_whitespace() || "(),".contains(c);
        let end = rest.find(separates).unwrap_or(rest.len());
        if end == 0 {
            let end = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let word = &rest[..end];
        let name = Some(word).filter(|word| word.starts_with('/')).and_then(&name_of);
        out.push_str(name.as_deref().unwrap_or(word));
        rest = &rest[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_become_names() {
        let text = "/* GNU ld script /lib/a.so */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/x/libc.so.6 /usr/lib/x/libc_nonshared.a  AS_NEEDED ( /lib64/ld.so.2 ) )\nINPUT(-lm,/opt/y)\n";
        let name = |path: &str| {
            let name = path.rsplit_once('/')?.1;
            (!path.starts_with("/opt")).then(|| name.to_owned())
        };
        assert_eq!(
            super::rewrite(text, name),
            "/* GNU ld script /lib/a.so */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( libc.so.6 libc_nonshared.a  AS_NEEDED ( ld.so.2 ) )\nINPUT(-lm,/opt/y)\n"
        );
        assert_eq!(super::rewrite("GROUP ( /* open", name), "GROUP ( /* open");
    }
}
