//! A tree as a Nix archive.

use std::io::{self, Write};

use super::{Blob, Node, Tree};
use crate::model::MemberPath;
use crate::nix::nar::{NarVisitor as _, NarWriter};

/// The parts of a tree, in the order of its NAR.
pub enum Step<'a> {
    /// A directory begins. The following steps up to its end are its members.
    Directory(MemberPath),
    /// The directory that was opened last ends.
    End,
    /// A symlink, with its target.
    Symlink(&'a MemberPath, &'a str),
    /// A file, its content, and whether it is executable.
    File(&'a MemberPath, &'a Blob, bool),
}

/// Returns the parts of a tree. Directories that nobody named, but that have members, are among them.
pub fn steps(tree: &Tree) -> Vec<Step<'_>> {
    let mut out = vec![];
    let mut open: Vec<MemberPath> = vec![];
    for (path, node) in tree.iter() {
        while open.last().is_some_and(|dir| !path.is_under(dir.as_str())) {
            open.pop();
            out.push(Step::End);
        }
        let mut dirs: Vec<MemberPath> = std::iter::successors(path.parent(), MemberPath::parent)
            .take_while(|d| open.last() != Some(d))
            .collect();
        if matches!(node, Node::Directory) {
            dirs.insert(0, path.clone());
        }
        for dir in dirs.into_iter().rev() {
            if !open.last().is_some_and(|o| o.is_under(dir.as_str())) {
                out.push(Step::Directory(dir.clone()));
                open.push(dir);
            }
        }
        match node {
            Node::Directory => {}
            Node::Symlink(target) => out.push(Step::Symlink(path, target)),
            Node::File { blob, executable } => out.push(Step::File(path, blob, *executable)),
        }
    }
    out.extend(open.iter().map(|_| Step::End));
    out
}

/// Writes a tree whose contents are staged.
///
/// # Errors
/// If a staged file cannot be read, and those of the writer.
pub fn write_nar<W: Write>(tree: &Tree, out: W) -> io::Result<W> {
    let mut nar = NarWriter::new(out)?;
    let mut buffer = vec![0; 128 << 10];
    nar.begin_directory()?;
    for step in steps(tree) {
        match step {
            Step::Directory(path) => {
                nar.begin_entry(path.file_name())?;
                nar.begin_directory()?;
            }
            Step::End => {
                nar.end_directory()?;
                nar.end_entry()?;
            }
            Step::Symlink(path, target) => {
                nar.begin_entry(path.file_name())?;
                nar.symlink(target)?;
                nar.end_entry()?;
            }
            Step::File(path, blob, executable) => {
                nar.begin_entry(path.file_name())?;
                let mut content = fs_err::File::open(blob.path())?;
                nar.file(executable, blob.size(), &mut content, &mut buffer)?;
                nar.end_entry()?;
            }
        }
    }
    nar.end_directory()?;
    Ok(nar.into_inner())
}
