//! Installs wheels into trees like an installer. Sources: the binary distribution format (PEP 427),
//! the recording of installed projects (PEP 376 and PEP 627), entry points
//! (<https://packaging.python.org/en/latest/specifications/entry-points/>).

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::str::FromStr;

use base64::Engine;
use pep440_rs::Version;

use crate::error::{Error, Result};
use crate::model::{MemberPath, WheelName, normalize_project as normalize, site_packages};
use crate::tree::{Blob, BlobDir, Node, Tree};
use crate::unpack::{Limits, unpack_zip};

/// The beginning of a Python script that runs wherever its environment is located: with the
/// interpreter next to it, or otherwise with the first one on PATH. Python, which also reads it,
/// sees only comments, so that a docstring and `from __future__` may follow: it skips the form feed
/// at the beginning of the second line, and a shell takes it for the first letter of a command that
/// does not exist, which is told to nobody.
pub const SCRIPT_HEAD: &str = "#!/bin/sh\n\x0c# 2>/dev/null; python=${0%/*}/python3; [ -x \"$python\" ] || python=python3; exec \"$python\" \"$0\" \"$@\"\n";

/// Installs a wheel. `file` contains its bytes, `name` is its file name, and `python` is the
/// version of the interpreter (`3.11`). `keeps` tells for each path whether it stays.
///
/// # Errors
/// If the archive is hostile or damaged, or if its content contradicts its name or its RECORD.
pub fn install(
    file: impl Read + Seek,
    name: &str,
    python: &str,
    limits: Limits,
    blobs: &BlobDir,
    keeps: &dyn Fn(&MemberPath) -> bool,
) -> Result<Tree> {
    let refused = |why: String| Error::verification(format!("{name} is refused")).because(why);
    let parts =
        WheelName::parse(name).ok_or_else(|| refused("its name is no wheel's".to_owned()))?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.chars().any(char::is_alphanumeric)
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+!".contains(&b))
    };
    if !is_plain(parts.project) || !is_plain(parts.version) {
        return Err(refused("its name holds no project and version".to_owned()));
    }
    let archive = unpack_zip(file, 0, limits, blobs)
        .map_err(|e| e.context(format!("can't unpack {name}")))?;
    if let Some((path, _)) = archive.iter().find(|(_, node)| matches!(node, Node::Symlink(_))) {
        return Err(refused(format!("it holds a symlink, {path}, and the format knows none")));
    }
    let info = info_directory(&archive, &parts).map_err(refused)?;
    check_record(&archive, &info).map_err(|e| e.context(format!("{name} is refused")))?;
    let text = |member: &str| -> Result<Option<String>> {
        match archive.at(&format!("{info}/{member}")) {
            Some(Node::File { blob, .. }) => {
                Ok(Some(String::from_utf8_lossy(&blob.read()?).into_owned()))
            }
            _ => Ok(None),
        }
    };
    let wheel = text("WHEEL")?.ok_or_else(|| refused(format!("it holds no {info}/WHEEL")))?;
    let version = header(&wheel, "Wheel-Version").unwrap_or_default();
    if !version.starts_with("1.") {
        return Err(refused(format!("expected Wheel-Version 1.x, got {version:?}")));
    }
    let metadata =
        text("METADATA")?.ok_or_else(|| refused(format!("it holds no {info}/METADATA")))?;
    let own = header(&metadata, "Name").unwrap_or_default();
    if normalize(own) != normalize(parts.project) {
        return Err(refused(format!(
            "its name says {:?}, its METADATA says {own:?}",
            parts.project
        )));
    }

    let site = site_packages(python);
    let data = format!("{}.data", info.trim_end_matches(".dist-info"));
    let mut tree = Tree::default();
    let mut placed: BTreeMap<MemberPath, &MemberPath> = BTreeMap::new();
    for (path, node) in archive.iter() {
        let Node::File { blob, executable } = node else { continue };
        // Some wheels contain bytecode from the machine that made them.
        if is_record(path, &info) || path.parts().any(|p| p == "__pycache__") {
            continue;
        }
        let (to, is_script) = place(path, &data, &site, python, parts.project).map_err(refused)?;
        if let Some(other) = placed.insert(to.clone(), path) {
            return Err(refused(format!("both {other} and {path} would be installed as {to}")));
        }
        let mut node = Node::File { blob: blob.clone(), executable: *executable };
        if is_script {
            node = Node::File { blob: settle_script(blob, blobs)?, executable: true };
        }
        // Bazel would treat the directory as a package of its own.
        let is_build_file = to.is_under(&site) && matches!(to.file_name(), "BUILD" | "BUILD.bazel");
        if keeps(&to) && !is_build_file {
            tree.put(to, node);
        }
    }
    for (script, target) in scripts(&text("entry_points.txt")?.unwrap_or_default()) {
        let plain = MemberPath::parse(script.as_bytes())
            .is_ok_and(|p| p.is_some_and(|p| p.as_str() == script && p.depth() == 1));
        let program = plain
            .then(|| script_text(&target))
            .flatten()
            .ok_or_else(|| refused(format!("its script {script:?} = {target:?} is none")))?;
        let to = MemberPath::literal(&format!("bin/{script}"));
        if keeps(&to) {
            tree.put(to, Node::File { blob: blobs.put(program.as_bytes())?, executable: true });
        }
    }
    let write = |tree: &mut Tree, member: &str, text: &str| -> Result<()> {
        let blob = blobs.put(text.as_bytes())?;
        tree.put(
            MemberPath::literal(&format!("{site}/{info}/{member}")),
            Node::File { blob, executable: false },
        );
        Ok(())
    };
    write(&mut tree, "INSTALLER", "cotter\n")?;
    let record = record(&tree, &site, &info)?;
    write(&mut tree, "RECORD", &record)?;
    Ok(tree)
}

/// Returns the name of the `.dist-info` directory, which must match the file name.
fn info_directory(archive: &Tree, parts: &WheelName) -> Result<String, String> {
    let mut found: Vec<&str> = archive
        .iter()
        .filter_map(|(p, _)| p.parts().next())
        .filter(|p| p.ends_with(".dist-info"))
        .collect();
    found.dedup();
    let fits = |dir: &str| {
        let (project, version) =
            dir.trim_end_matches(".dist-info").rsplit_once('-').unwrap_or((dir, ""));
        let parsed = |text: &str| Version::from_str(&text.replace('_', "-"));
        normalize(project) == normalize(parts.project)
            && (version == parts.version
                || parsed(version).is_ok_and(|v| parsed(parts.version).as_ref() == Ok(&v)))
    };
    match found.as_slice() {
        [dir] if fits(dir) => Ok((*dir).to_owned()),
        [dir] => {
            Err(format!("it holds {dir}, which is not of {} {}", parts.project, parts.version))
        }
        [] => Err("it holds no .dist-info directory".to_owned()),
        many => Err(format!("it holds several .dist-info directories: {}", many.join(", "))),
    }
}

/// Whether the path is RECORD or one of its signatures, which RECORD itself does not list.
fn is_record(path: &MemberPath, info: &str) -> bool {
    path.is_under(info) && matches!(path.file_name(), "RECORD" | "RECORD.jws" | "RECORD.p7s")
}

/// Checks that RECORD and the archive contain the same files with the same hashes (PEP 427, "The
/// .dist-info directory").
fn check_record(archive: &Tree, info: &str) -> Result<()> {
    let Some(Node::File { blob, .. }) = archive.at(&format!("{info}/RECORD")) else {
        return Err(Error::verification(format!("there is no {info}/RECORD")));
    };
    let bytes = blob.read()?;
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
    let mut listed = BTreeMap::new();
    for row in reader.records() {
        let row = row
            .map_err(|e| Error::verification(format!("{info}/RECORD is no CSV file")).cause(&e))?;
        // Some tools write paths as those of Windows, or as if the archive were a root.
        let path = row.get(0).unwrap_or("").replace('\\', "/");
        let path = MemberPath::parse(path.trim_start_matches('/').as_bytes())
            .map_err(|e| Error::verification(format!("{info}/RECORD: {e}")))?;
        listed.extend(path.map(|p| (p, row.get(1).unwrap_or("").to_owned())));
    }
    for (path, node) in archive.iter() {
        let Node::File { blob, .. } = node else { continue };
        if is_record(path, info) {
            listed.remove(path);
            continue;
        }
        let Some(hash) = listed.remove(path) else {
            return Err(Error::verification(format!(
                "it holds {path}, which its RECORD does not name"
            )));
        };
        let Some(expected) = hash.strip_prefix("sha256=") else {
            // Stronger hashes of the same family are allowed and rare. An empty hash states
            // nothing, and the hash of the archive itself was verified.
            if hash.is_empty() || hash.starts_with("sha384=") || hash.starts_with("sha512=") {
                continue;
            }
            return Err(Error::verification(format!(
                "its RECORD has a hash of {path} that is too weak: {hash:?}"
            )));
        };
        let digest = blob.sha256();
        let got = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_bytes());
        // Old tools use the other alphabet of base64, or hexadecimal digits.
        let in_base64 = expected.trim_end_matches('=').replace('+', "-").replace('/', "_");
        if got != in_base64 && !expected.eq_ignore_ascii_case(&digest.hex()) {
            return Err(Error::verification(format!("{path} is not what its RECORD says"))
                .because(format!("expected sha256={expected}, got sha256={got}")));
        }
    }
    match listed.keys().find(|path| !is_record(path, info)) {
        Some(path) => {
            Err(Error::verification(format!("its RECORD names {path}, which it does not hold")))
        }
        None => Ok(()),
    }
}

/// Returns the destination of a member, and whether it is a script (PEP 427, "The .data
/// directory").
fn place(
    path: &MemberPath,
    data: &str,
    site: &str,
    python: &str,
    project: &str,
) -> Result<(MemberPath, bool), String> {
    let text = path.as_str();
    let Some(rest) = text.strip_prefix(data).and_then(|r| r.strip_prefix('/')) else {
        return Ok((clean(&format!("{site}/{text}"))?, false));
    };
    let (scheme, rest) =
        rest.split_once('/').ok_or_else(|| format!("{path} belongs to no installation scheme"))?;
    let to = match scheme {
        "purelib" | "platlib" => format!("{site}/{rest}"),
        "scripts" => format!("bin/{rest}"),
        "headers" => format!("include/site/python{python}/{project}/{rest}"),
        "data" => rest.to_owned(),
        other => {
            return Err(format!(
                "{path} belongs to an installation scheme that is unknown: {other:?}"
            ));
        }
    };
    Ok((clean(&to)?, scheme == "scripts"))
}

/// Returns a path whose parts come from others: from the names in a wheel and the interpreter's
/// version.
fn clean(path: &str) -> Result<MemberPath, String> {
    match MemberPath::parse(path.as_bytes()) {
        Ok(Some(clean)) => Ok(clean),
        Ok(None) => Err(format!("{path:?} names no file")),
        Err(why) => Err(why.to_string()),
    }
}

/// Gives a script that begins with `#!python` a head that finds the interpreter.
fn settle_script(blob: &Blob, blobs: &BlobDir) -> Result<Blob> {
    if !blob.head(16)?.starts_with(b"#!python") {
        return Ok(blob.clone());
    }
    let bytes = blob.read()?;
    let body = bytes.iter().position(|b| *b == b'\n').map_or(&[][..], |end| &bytes[end + 1..]);
    blobs.put(&[script_head(body).as_bytes(), body].concat())
}

/// Returns the head of a script. If the body names its encoding in its first line, which will be the
/// third of the script, the head names it, too: Python looks only at the first two (PEP 263).
fn script_head(body: &[u8]) -> String {
    let first = body.split(|b| *b == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let comment = first.trim_start().strip_prefix('#');
    let behind = comment.and_then(|c| c.find("coding").map(|at| &c[at + "coding".len()..]));
    let value = behind.and_then(|b| b.strip_prefix([':', '=']));
    let is_name = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.');
    match value.and_then(|v| v.trim_start().split(is_name).next()).filter(|name| !name.is_empty()) {
        Some(name) => format!("{} # coding: {name}\n", SCRIPT_HEAD.trim_end()),
        None => SCRIPT_HEAD.to_owned(),
    }
}

/// Returns the scripts that `entry_points.txt` names, each with the function that it calls
/// (`module:attribute`).
pub fn scripts(entry_points: &str) -> BTreeMap<String, String> {
    let mut section = "";
    let mut out = BTreeMap::new();
    for line in
        entry_points.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', ';']))
    {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.trim();
        } else if let ("console_scripts" | "gui_scripts", Some((name, target))) =
            (section, line.split_once('='))
        {
            // The form is `module:attribute [extra]`. Extras have been obsolete for a long time.
            let target = target.split('[').next().unwrap_or("").trim();
            out.insert(name.trim().to_owned(), target.to_owned());
        }
    }
    out
}

/// Returns the program that calls `module:attribute`, or `None` if that is not a valid Python name.
pub fn script_text(target: &str) -> Option<String> {
    let is_name = |s: &str| {
        !s.is_empty()
            && s.split('.')
                .all(|p| !p.is_empty() && p.chars().all(|c| c.is_alphanumeric() || c == '_'))
    };
    let (module, attribute) = target.split_once(':').map(|(m, a)| (m.trim(), a.trim()))?;
    let first = attribute.split('.').next().unwrap_or(attribute);
    (is_name(module) && is_name(attribute))
        .then(|| format!("{SCRIPT_HEAD}import sys\n\nfrom {module} import {first}\n\nif __name__ == \"__main__\":\n    sys.exit({attribute}())\n"))
}

/// Returns the RECORD of the installed files, relative to the directory of packages.
fn record(tree: &Tree, site: &str, info: &str) -> Result<String> {
    let up = "../".repeat(site.split('/').count());
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(vec![]);
    let mut row = |path: &str, hash: &str, size: &str| {
        writer
            .write_record([path, hash, size])
            .map_err(|e| Error::build("can't write a RECORD").cause(&e))
    };
    for (path, node) in tree.iter() {
        let Node::File { blob, .. } = node else { continue };
        let relative = match path.as_str().strip_prefix(site) {
            Some(rest) => rest.trim_start_matches('/').to_owned(),
            None => format!("{up}{path}"),
        };
        let hash =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(blob.sha256().as_bytes());
        row(&relative, &format!("sha256={hash}"), &blob.size().to_string())?;
    }
    row(&format!("{info}/RECORD"), "", "")?;
    let bytes = writer
        .into_inner()
        .map_err(|e| Error::build("can't write a RECORD").because(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Error::build("can't write a RECORD").cause(&e))
}

/// Returns a field of an email-style header.
pub fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().take_while(|l| !l.is_empty()).find_map(|l| {
        let (key, value) = l.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_names_the_encoding_of_the_body() {
        let of = |body: &str| script_head(body.as_bytes());
        assert!(of("# -*- coding: latin-1 -*-\n").ends_with("\"$@\" # coding: latin-1\n"));
        assert!(of("# vim: set fileencoding=utf-8 :\n").ends_with("# coding: utf-8\n"));
        for plain in ["", "'coding: x'\n", "# coding x\n", "import a\n# coding: x\n"] {
            assert_eq!(of(plain), SCRIPT_HEAD, "{plain}");
        }
    }

    #[test]
    fn scripts_call_what_entry_points_name() {
        let found = scripts(
            "[console_scripts]\nflask = flask.cli:main\nold = a.b:C.run [extra]\n\n[other]\nx = y:z\n",
        );
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [
                ("flask".to_owned(), "flask.cli:main".to_owned()),
                ("old".to_owned(), "a.b:C.run".to_owned())
            ]
        );
        assert!(script_text("a.b:C.run").unwrap().contains("from a.b import C\n"));
        assert_eq!(script_text("a;import os:x"), None);
    }
}
