//! Compares two trees.

use std::collections::BTreeSet;

use super::files;
use super::spot::{Spot, Spots, What};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{Node, Tree};

/// The greatest number of files that are compared byte by byte.
const MOST_FILES: usize = 256;

/// The greatest size of a file that is compared byte by byte.
const LARGEST: u64 = 512 << 20;

/// A difference of two trees.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The path of the file.
    pub path: MemberPath,
    /// Where in the file, and how.
    pub spot: Spot,
}

/// The place of a difference, which is the same in another comparison: the path, the parts of the file,
/// and the line of a text or the name of a field.
pub type SpotKey = (MemberPath, Vec<String>, String);

impl Difference {
    /// Returns its place.
    pub fn key(&self) -> SpotKey {
        let within = &self.spot.within;
        let at = match &self.spot.what {
            What::Bytes(hunk) if hunk.is_line => hunk.at.to_string(),
            What::Field { name, .. } => (*name).to_owned(),
            What::Order { of, .. } => (*of).to_owned(),
            What::Bytes(_) | What::Gone(_) | What::New(_) => String::new(),
        };
        // The symbol that covers the first difference of a section may be another one.
        let parts = within.iter().filter(|part| !part.starts_with("symbol ")).cloned();
        (self.path.clone(), parts.collect(), at)
    }
}

/// How two trees differ.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The paths that differ.
    pub paths: BTreeSet<MemberPath>,
    /// How they differ. A file may be there more than once.
    pub differences: Vec<Difference>,
    /// The number of further differences, which are not among them.
    pub left_out: usize,
}

/// Compares two trees.
///
/// # Errors
/// If a file cannot be read.
pub fn compare(old: &Tree, new: &Tree) -> Result<Comparison> {
    let mut out = Comparison::default();
    let paths: BTreeSet<&MemberPath> = old.iter().chain(new.iter()).map(|(path, _)| path).collect();
    for path in paths {
        let mut spots = Spots::default();
        nodes([old.get(path), new.get(path)], path, out.paths.len(), &mut spots)?;
        if !spots.list.is_empty() {
            out.paths.insert(path.clone());
        }
        let list = spots.list.into_iter();
        out.differences.extend(list.map(|spot| Difference { path: path.clone(), spot }));
        out.left_out += spots.left_out;
    }
    Ok(out)
}

fn nodes(
    both: [Option<&Node>; 2],
    path: &MemberPath,
    number: usize,
    out: &mut Spots,
) -> Result<()> {
    let name = path.file_name();
    match both {
        [
            Some(Node::File { blob: a, executable: x }),
            Some(Node::File { blob: b, executable: y }),
        ] => {
            let mode =
                |executable: &bool| if *executable { "executable" } else { "not executable" };
            out.field(&[], "mode", [x, y].map(mode), None);
            if a.same_content(b) {
                return Ok(());
            }
            if number >= MOST_FILES || a.size().max(b.size()) > LARGEST {
                let values = [a, b].map(|blob| blob.sha256().to_string());
                out.add(&[], What::Field { name: "sha256", values, cause: None });
                return Ok(());
            }
            files::contents([&a.read()?, &b.read()?], name, &[], 0, out);
        }
        [Some(Node::Symlink(a)), Some(Node::Symlink(b))] => out.field(&[], "target", [a, b], None),
        [Some(Node::Directory), Some(Node::Directory)] | [None, None] => {}
        [Some(_), None] => out.add(&[], What::Gone(path.to_string())),
        [None, Some(_)] => out.add(&[], What::New(path.to_string())),
        [Some(a), Some(b)] => out.field(&[], "type", [a, b].map(kind), None),
    }
    Ok(())
}

fn kind(node: &Node) -> &'static str {
    match node {
        Node::File { .. } => "file",
        Node::Symlink(_) => "symlink",
        Node::Directory => "directory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::BlobDir;

    #[test]
    fn every_kind_of_difference_of_trees_is_told() {
        let dir = std::env::temp_dir().join(format!("cotter-compare-{}", std::process::id()));
        let blobs = BlobDir::create(dir.clone()).unwrap();
        let file = |text: &str, executable| Node::File {
            blob: blobs.put(text.as_bytes()).unwrap(),
            executable,
        };
        let link = |target: &str| Node::Symlink(target.to_owned());
        let tree = |nodes: Vec<(&str, Node)>| {
            let mut out = Tree::default();
            for (path, node) in nodes {
                out.put(MemberPath::composed(path).unwrap(), node);
            }
            out
        };
        let old = tree(vec![
            ("gone", file("", false)),
            ("kind", file("", false)),
            ("link", link("a")),
            ("mode", file("x", false)),
            ("same", file("s", false)),
            ("text", file("a\n", false)),
        ]);
        let new = tree(vec![
            ("kind", link("b")),
            ("link", link("b")),
            ("mode", file("x", true)),
            ("new", file("", false)),
            ("same", file("s", false)),
            ("text", file("b\n", false)),
        ]);
        let found = compare(&old, &new).unwrap();
        fs_err::remove_dir_all(dir).unwrap();
        let told: Vec<String> = found
            .differences
            .iter()
            .map(|one| format!("{}: {}", one.path, one.spot.text()))
            .collect();
        assert_eq!(
            told,
            [
                "gone: only the old one has gone",
                "kind: type: file became symlink",
                "link: target: a became b",
                "mode: mode: not executable became executable",
                "new: only the new one has new",
                "text: line 1: \"a\" became \"b\"",
            ]
        );
        assert_eq!(found.paths.len(), 6);
    }
}
