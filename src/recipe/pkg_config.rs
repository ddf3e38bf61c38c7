//! `.pc` files name `/usr`; in a tree they are found relative to themselves. Source: pkgconf's pc(5), the variable `pcfiledir`.

use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// Rewrites every `.pc` file of the tree.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn relocate(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let is_pc = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. })
            && path.file_name().ends_with(".pc")
            && path.is_under("usr")
    };
    for path in tree.paths(is_pc) {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let Ok(text) = String::from_utf8(blob.read()?) else { continue };
        // From usr/lib/<multiarch>/pkgconfig/x.pc three up to usr.
        let up = vec![".."; path.depth() - 2].join("/");
        let blob = blobs.put(rewrite(&text, &up).as_bytes())?;
        tree.put(path, Node::File { blob, executable: false });
    }
    Ok(())
}

fn rewrite(text: &str, up: &str) -> String {
    let mut out = String::new();
    let mut has_prefix = false;
    for line in text.lines() {
        if line.split('=').next().is_some_and(|k| k.trim() == "prefix") && line.contains('=') {
            has_prefix = true;
            out.push_str(&format!("prefix=${{pcfiledir}}/{up}\n"));
        } else {
            out.push_str(&replace_usr(line));
            out.push('\n');
        }
    }
    if has_prefix { out } else { format!("prefix=${{pcfiledir}}/{up}\n{out}") }
}

/// `/usr` at the beginning of a path becomes `${prefix}`.
fn replace_usr(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("/usr") {
        let (before, after) = (&rest[..at], &rest[at + 4..]);
        out.push_str(before);
        let begins = before.chars().last().is_none_or(|c| "= \t:,ILR\"'".contains(c));
        let ends = after
            .chars()
            .next()
            .is_none_or(|c| c == '/' || c.is_whitespace() || ":,\"'".contains(c));
        out.push_str(if begins && ends { "${prefix}" } else { "/usr" });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn usr_becomes_relative() {
        let text = "prefix=/usr\nlibdir=/usr/lib/x\nincludedir=${prefix}/include\nLibs: -L/usr/lib -lz\nURL: https://x/usr/y\n";
        assert_eq!(
            super::rewrite(text, "../../.."),
            "prefix=${pcfiledir}/../../..\nlibdir=${prefix}/lib/x\nincludedir=${prefix}/include\nLibs: -L${prefix}/lib -lz\nURL: https://x/usr/y\n"
        );
    }
}
