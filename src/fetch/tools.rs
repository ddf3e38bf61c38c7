//! The package index that the user's own tools ask if nothing is configured. Each of them names it
//! in its files, which are read: no program of the machine is started.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::regular::{open_regular, read_regular};

/// The file in which pip names its index, below the directory of its packages.
const OF_PIP: &str = "pip/_internal/models/index.py";

/// The words of uv's help before the index, which ends with `>`.
const OF_UV: &[u8] = b"package index (by default: <";

/// The names under which pip and the interpreters that have one are on `PATH`.
const WITH_PIP: &[&str] = &["pip3", "pip", "python3"];

/// The size in bytes beyond which a file is neither that of pip nor uv.
const MOST: u64 = 256 << 20;

/// Returns the default index of the first pip or, if there is none, of the first uv in the
/// directories of `PATH`. A relative directory is left out: it may be that of a project.
pub fn default_index(path: &[PathBuf]) -> Option<String> {
    let dirs = || path.iter().filter(|dir| dir.is_absolute());
    let pips = dirs().flat_map(|dir| WITH_PIP.iter().map(move |name| dir.join(name)));
    let of_pip = pips.flat_map(|program| libraries(&program)).find_map(|dir| {
        let text = read_regular(&dir.join(OF_PIP), MOST).ok()?;
        index_of_pip(std::str::from_utf8(&text).ok()?)
    });
    of_pip
        .or_else(|| dirs().find_map(|dir| index_of_uv(&read_regular(&dir.join("uv"), MOST).ok()?)))
}

/// Returns the directories in which an interpreter, or the one that a script names, may keep its
/// packages.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let Ok(program) = program.canonicalize() else { return vec![] };
    let mut script = vec![];
    let Ok(file) = open_regular(&program) else { return vec![] };
    if file.take(4096).read_to_end(&mut script).is_err() {
        return vec![];
    }
    let interpreter = script
        .strip_prefix(b"#!")
        .and_then(|rest| rest.split(|b| b.is_ascii_whitespace()).find(|word| !word.is_empty()))
        .and_then(|word| std::str::from_utf8(word).ok())
        .map(PathBuf::from)
        .and_then(|path| path.canonicalize().ok());
    let program = interpreter.unwrap_or(program);
    let Some(lib) = program.parent().and_then(Path::parent).map(|prefix| prefix.join("lib")) else {
        return vec![];
    };
    let mut versions: Vec<PathBuf> = fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"python3")))
        .collect();
    versions.sort();
    let kinds = ["site-packages", "dist-packages"];
    versions.iter().flat_map(|dir| kinds.map(|kind| dir.join(kind))).collect()
}

/// Returns the index that pip's own source names in the line `PyPI = PackageIndex("<site>/", ...)`.
/// The simple API (PEP 503) is a path below it. The file is read and not executed, because starting
/// pip takes a fifth of a second.
pub fn index_of_pip(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("PyPI = PackageIndex(")?;
    let site = rest.split('"').nth(1)?;
    site.contains("://").then(|| format!("{}/simple", site.trim_end_matches('/')))
}

/// Returns the index that the help of uv names, which is a text in the program.
fn index_of_uv(program: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(program, OF_UV)? + OF_UV.len();
    let rest = program.get(at..(at + 200).min(program.len()))?;
    let url = std::str::from_utf8(rest.split(|b| *b == b'>').next()?).ok()?;
    let is_plain = url.bytes().all(|b| b.is_ascii_graphic());
    (url.contains("://") && is_plain).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_found_in_the_text() {
        let text = "class PackageIndex: ...\n\nPyPI = PackageIndex(\n    \"https://index.example/\", file_storage_domain=\"files.example\")\n";
        assert_eq!(index_of_pip(text).as_deref(), Some("https://index.example/simple"));
        assert_eq!(index_of_pip("nothing"), None);
    }

    #[test]
    fn the_index_is_found_in_the_program() {
        let help = b"\0The URL of the default package index (by default: <https://index.example/simple>)The";
        assert_eq!(index_of_uv(help).as_deref(), Some("https://index.example/simple"));
        for other in ["package index (by default: <", "package index (by default: <file:/x>"] {
            assert_eq!(index_of_uv(other.as_bytes()), None);
        }
    }
}
