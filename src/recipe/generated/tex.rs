//! TeX: the texts that the triggers of tex-common put together from pieces of the packages, the
//! maps of fonts, and the lists of files that kpathsea reads in place of directories.
//!
//! Formats (`pdflatex.fmt`, ...) are made by running TeX, and composing a tree runs nothing. They
//! are named as missing. The tree's programs make them at their first use, in a directory of the user.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::api::{Generated, names, text};
use super::hyphenation::{self, PIECES};
use crate::error::Result;
use crate::model::{Hasher, MemberPath};
use crate::tree::{BlobDir, Node, Tree};

/// TeX Live itself, the packages of Debian, and the place of what is generated.
const DIST: &str = "usr/share/texlive/texmf-dist";
const DEBIAN: &str = "usr/share/texmf";
const VAR: &str = "var/lib/texmf";

/// The lists of files: the directory, and the file that its link `ls-R` leads to.
const LISTS: &[(&str, &str)] =
    &[(DIST, "ls-R-TEXLIVEDIST"), (DEBIAN, "ls-R-TEXMFMAIN"), (VAR, "ls-R")];

/// The first line of a list, by which kpathsea knows it.
const LIST_MAGIC: &str = "% ls-R -- filename database for kpathsea; do not change this line.\n";

/// Generates the configuration.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn configuration(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    if tree.at(&format!("{DIST}/web2c/texmf.cnf")).is_none() {
        return Ok(out);
    }
    let local = places(tree)? + &concatenation(tree, "%", "etc/texmf/texmf.d", ".cnf")?;
    out.file(blobs, "etc/texmf/web2c/texmf.cnf", local.as_bytes())?;
    let mut formats = String::new();
    let mut fonts = String::new();
    for (from, ending) in [("/texlive", "TEXLIVEDIST"), ("", "DEBIAN")] {
        let part = concatenation(tree, "#", &format!("{PIECES}/fmtutil-cnf{from}"), ".cnf")?;
        out.file(blobs, &format!("{VAR}/fmtutil.cnf-{ending}"), part.as_bytes())?;
        formats.push_str(&part);
        let part = concatenation(tree, "#", &format!("{PIECES}/fontmap-cfg{from}"), ".cfg")?;
        out.file(blobs, &format!("{VAR}/updmap.cfg-{ending}"), part.as_bytes())?;
        fonts.push_str(&part);
    }
    hyphenation::generate(tree, blobs, &mut out)?;
    font_maps(tree, blobs, &fonts, &mut out)?;
    let names: BTreeSet<&str> = formats
        .lines()
        .filter(|l| !l.starts_with(['#', '%']))
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    if !names.is_empty() {
        let some: Vec<&str> =
            ["pdflatex", "tex"].into_iter().filter(|n| names.contains(n)).collect();
        let example = some.first().or(names.first()).copied().unwrap_or_default();
        out.lacks(
            format!("it holds none of the {} formats of TeX ({example}, ...): each is made at its first use, in ~/.cache/cotter/tex", names.len()),
            format!("to make one before that: `cotter exec -- fmtutil-user --byfmt {example}`, or all: `fmtutil-user --all`"),
        );
    }
    Ok(out)
}

/// Returns the settings that separate what is in the tree from what its programs write later.
///
/// TeX writes formats to TEXMFSYSVAR if it may, as root does, and otherwise to TEXMFVAR. In a tree,
/// both are a directory of the user which belongs to this very tree: a format fits only the programs
/// and macros that made it. The tree's own part of TEXMFSYSVAR stays on the search path.
fn places(tree: &Tree) -> Result<String> {
    let mut hasher = Hasher::default();
    for (path, node) in tree.iter() {
        let content = match node {
            Node::File { blob, .. } => blob.sha256().hex(),
            Node::Symlink(target) => target.clone(),
            Node::Directory => continue,
        };
        hasher.update(format!("{path}\0{content}\0").as_bytes());
    }
    let mut out = format!(
        "% What programs write.\nTEXMFVAR = ~/.cache/cotter/tex/{}\nTEXMFSYSVAR = $TEXMFVAR\n",
        &hasher.finish().hex()[..16]
    );
    let settings = text(tree, &format!("{DIST}/web2c/texmf.cnf"))?.unwrap_or_default();
    for line in settings.lines() {
        let name = line.split(['=', ' ']).next().unwrap_or_default();
        if matches!(name, "TEXMF" | "TEXMFDBS" | "SYSTEXMF") {
            let _ = writeln!(out, "{}", line.replace("$TEXMFSYSVAR", &format!("/{VAR}")));
        }
    }
    Ok(out)
}

/// Generates the lists of files. This comes after everything else that adds files for TeX.
///
/// # Errors
/// If the staging directory cannot be written.
pub fn lists(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    if tree.at(&format!("{DIST}/web2c/texmf.cnf")).is_none() {
        return Ok(out);
    }
    for (directory, name) in LISTS {
        let list = list(tree, directory);
        out.file(blobs, &format!("{VAR}/{name}"), list.as_bytes())?;
        if *directory != VAR {
            out.link(&format!("{directory}/ls-R"), &format!("{VAR}/{name}"));
        }
    }
    Ok(out)
}

/// Returns the files below a directory as kpathsea reads them: each directory with its members.
fn list(tree: &Tree, directory: &str) -> String {
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, _) in tree.iter() {
        let below = path.as_str().strip_prefix(directory).and_then(|p| p.strip_prefix('/'));
        let Some(mut below) = below else { continue };
        while let Some((parent, name)) = below.rsplit_once('/') {
            members.entry(parent).or_default().insert(name);
            below = parent;
        }
        members.entry("").or_default().insert(below);
    }
    let mut out = LIST_MAGIC.to_owned();
    for (parent, names) in members {
        let dir = if parent.is_empty() { ".".to_owned() } else { format!("./{parent}") };
        let names: Vec<&str> = names.into_iter().collect();
        let _ = write!(out, "\n{dir}:\n{}\n", names.join("\n"));
    }
    out
}

/// Returns the texts of a directory one after the other, after a comment that tells what it is.
fn concatenation(tree: &Tree, comment: &str, directory: &str, ending: &str) -> Result<String> {
    let mut out = format!("{comment} Put together from the files of /{directory}.\n");
    for name in names(tree, directory, ending) {
        if let Some(text) = text(tree, &format!("{directory}/{name}"))? {
            out.push_str(&text);
            if !text.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    Ok(out)
}

/// Writes the maps of fonts as `updmap` does with its default options: outline fonts wherever there
/// are some, and the 35 standard fonts from their free copies.
fn font_maps(tree: &Tree, blobs: &BlobDir, configuration: &str, out: &mut Generated) -> Result<()> {
    let mut outline = vec!["ps2pk35.map"];
    let mut bitmap_only = vec!["ps2pk35.map"];
    let mut unknown = BTreeSet::new();
    for line in configuration.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Map"), Some(map)) => {
                outline.push(map);
                bitmap_only.push(map);
            }
            (Some("MixedMap"), Some(map)) => outline.push(map),
            (Some("KanjiMap"), Some(map)) => drop(unknown.insert(map)),
            _ => {}
        }
    }
    if !unknown.is_empty() {
        out.lacks(
            format!(
                "{} maps of Japanese, Chinese and Korean fonts for dvipdfmx are not put together",
                unknown.len()
            ),
            "make them below the home directory: `cotter exec -- updmap-user`",
        );
    }
    let outline = font_map(tree, &outline)?;
    let (pdftex, dvips) = ("fonts/map/pdftex/updmap", "fonts/map/dvips/updmap");
    out.file(blobs, &format!("{VAR}/{pdftex}/pdftex_dl14.map"), outline.as_bytes())?;
    out.link(&format!("{VAR}/{pdftex}/pdftex.map"), &format!("{VAR}/{pdftex}/pdftex_dl14.map"));
    out.file(blobs, &format!("{VAR}/{dvips}/psfonts_t1.map"), outline.as_bytes())?;
    out.link(&format!("{VAR}/{dvips}/psfonts.map"), &format!("{VAR}/{dvips}/psfonts_t1.map"));
    out.file(blobs, &format!("{VAR}/{dvips}/ps2pk.map"), outline.as_bytes())?;
    let bitmap = font_map(tree, &bitmap_only)?;
    out.file(blobs, &format!("{VAR}/{dvips}/psfonts_pk.map"), bitmap.as_bytes())?;
    let kanji = "% No maps of this kind are in this tree.\n";
    out.file(blobs, &format!("{VAR}/fonts/map/dvipdfmx/updmap/kanjix.map"), kanji.as_bytes())
}

/// Returns the lines of maps, each under the name of its map.
fn font_map(tree: &Tree, maps: &[&str]) -> Result<String> {
    let mut out = "% The fonts of this tree, as `updmap` puts them together.\n".to_owned();
    let all = tree.paths(|path, node| {
        matches!(node, Node::File { .. })
            && path.as_str().contains("/fonts/map/")
            && (path.is_under(DIST) || path.is_under(DEBIAN))
    });
    for map in maps {
        let found: Vec<&MemberPath> = all.iter().filter(|p| p.file_name() == *map).collect();
        let of_dvips = found.iter().find(|p| p.as_str().contains("/fonts/map/dvips/"));
        let Some(path) = of_dvips.or(found.first()) else { continue };
        let text = text(tree, path.as_str())?.unwrap_or_default();
        let lines: BTreeSet<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|l| !l.is_empty() && !l.starts_with(['%', '#', '*', ';', ' ', '\t']))
            .collect();
        let _ = writeln!(out, "% {map}");
        for line in lines {
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_each_directory_with_its_members() {
        let mut tree = Tree::default();
        for path in ["t/a/b.tex", "t/a/c/d.tex", "t/e", "tt/no"] {
            tree.put(MemberPath::literal(path), Node::Symlink("x".to_owned()));
        }
        let expected = format!("{LIST_MAGIC}\n.:\na\ne\n\n./a:\nb.tex\nc\n\n./a/c:\nd.tex\n");
        assert_eq!(list(&tree, "t"), expected);
    }
}
