//! The lines of a list of requirements, as far as it matters where a requirement comes from.
//! Source: pip's documentation of the requirements file format, PEP 508, and the behaviour of uv,
//! which reads paths relative to its working directory and not to the list.

use std::path::{Component, Path, PathBuf};

use super::refusal::Refusal;
use crate::fetch::decode;
use crate::model::Digest;

/// The endings of archives. Source: PEP 427, PEP 625, and the older forms that uv reads.
const ARCHIVES: &[&str] =
    &[".whl", ".tar.gz", ".zip", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.zst"];

/// The endings of the files that can stand in place of a release.
const INSTALLABLE: &[&str] = &[".whl", ".tar.gz", ".zip"];

/// The beginnings of addresses of version control repositories. Source: pip's documentation of
/// "VCS Support".
const REPOSITORIES: &[&str] = &["git+", "hg+", "svn+", "bzr+"];

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A release, an option that changes nothing here, a comment, or nothing.
    Plain,
    /// Another list (`-r`), whose name is relative to this one.
    List(String),
    /// A list of constraints (`-c`), whose name is relative to this one.
    Constraints(String),
    /// What a directory requires.
    Directory(LocalDirectory),
    /// A wheel or a source distribution in place of a release.
    File(NamedFile),
    /// An index to ask (`--index-url`, `--extra-index-url`).
    Index(String),
    /// Something that no lock can name by its hash, with the reason.
    Refused(Refusal),
}

/// A directory in place of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDirectory {
    /// What the line calls its project: before `@`, and behind `#egg=`.
    pub names: Vec<String>,
    /// Its path, relative to the directory of the manifest.
    pub path: PathBuf,
    /// The extras that are asked for.
    pub extras: Vec<String>,
    /// The condition, such as `python_version < "3.12"`.
    pub marker: Option<String>,
    /// Whether the line begins with `-e`: the modules are imported from the directory.
    pub editable: bool,
}

/// A file in place of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// What the line calls its project: behind `#egg=`, and before `@`.
    pub names: Vec<String>,
    /// Where it is.
    pub target: FileTarget,
    /// The extras that are asked for.
    pub extras: Vec<String>,
    /// The condition, such as `python_version < "3.12"`.
    pub marker: Option<String>,
    /// The hash that the line demands.
    pub sha256: Option<Digest>,
}

/// Where a file in place of a release is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileTarget {
    /// A path relative to the directory of the manifest, or an absolute one.
    Path(PathBuf),
    /// An address.
    Url(String),
}

impl FileTarget {
    /// Returns the name of the file.
    pub fn file_name(&self) -> String {
        match self {
            FileTarget::Path(path) => {
                path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
            }
            FileTarget::Url(url) => {
                let path = url.split(['?', '#']).next().unwrap_or(url);
                decode(path.rsplit('/').next().unwrap_or(path))
            }
        }
    }
}

/// Whether a file is a list of requirements. uv treats a file as a list unless its name indicates
/// another format.
pub fn is_list(file: &Path) -> bool {
    if file.ends_with("Pipfile") {
        return false;
    }
    file.extension().is_none_or(|e| e != "toml" && e != "lock" && e != "py" && e != "cfg")
}

/// Returns the lines of a list, each with the number of its first line, starting at 1. A line that
/// ends in a backslash continues in the next one. The text is without its comment.
pub fn lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = vec![];
    let mut continues = false;
    for (number, line) in text.lines().enumerate() {
        let begin = line.find('#').filter(|at| line[..*at].trim().is_empty());
        let end = begin.or_else(|| line.find(" #")).or_else(|| line.find("\t#"));
        let line = line[..end.unwrap_or(line.len())].trim_end();
        let (line, next) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match out.last_mut().filter(|_| continues) {
            Some((_, last)) => {
                let line = line.trim();
                if !last.is_empty() && !line.is_empty() {
                    last.push(' ');
                }
                last.push_str(line);
            }
            None => out.push((number + 1, line.trim().to_owned())),
        }
        continues = next;
    }
    out
}

/// Returns what a line without its comment asks for.
pub fn parse(line: &str) -> Line {
    let option = |names: &[&str]| {
        names.iter().find_map(|name| {
            let rest = line.strip_prefix(name)?;
            let ends = rest.is_empty() || rest.starts_with(['=', ' ', '\t']);
            // A short option may stand directly before its value.
            (ends || !name.starts_with("--")).then(|| rest.trim_start_matches(['=', ' ', '\t']))
        })
    };
    let file = |name: &str| {
        if name.contains("://") {
            return Err(Refusal::RemoteList);
        }
        let odd = |c: char| c.is_whitespace() || "\"'$\\`".contains(c);
        if name.contains(odd) || !is_list(Path::new(name)) {
            return Err(Refusal::Unclear);
        }
        Ok(name.to_owned())
    };
    if !line.starts_with('-') {
        return requirement(line);
    }
    if let Some(name) = option(&["--requirement", "-r"]) {
        return file(name).map_or_else(Line::Refused, Line::List);
    }
    if let Some(name) = option(&["--constraint", "-c"]) {
        return file(name).map_or_else(Line::Refused, Line::Constraints);
    }
    if let Some(what) = option(&["--editable", "-e"]) {
        // A name alone is a directory here, unlike in other lines.
        let found = match requirement(what) {
            Line::Plain => directory(what),
            other => other,
        };
        return match found {
            Line::Directory(of) => Line::Directory(LocalDirectory { editable: true, ..of }),
            Line::File(_) => Line::Refused(Refusal::Archive),
            other => other,
        };
    }
    if let Some(url) = option(&["--index-url", "--extra-index-url", "-i"]) {
        // uv replaces `${NAME}` by the variable, and the address of an index may hold credentials.
        return match url.contains(|c: char| matches!(c, '\\' | '$') || c.is_whitespace()) {
            true => Line::Refused(Refusal::Unclear),
            false => Line::Index(url.to_owned()),
        };
    }
    if option(&["--find-links", "-f"]).is_some() {
        return Line::Refused(Refusal::Links);
    }
    if option(&["--no-binary"]).is_some() {
        return Line::Refused(Refusal::Build);
    }
    let name = line.split(['=', ' ', '\t']).next().unwrap_or(line);
    if HARMLESS.contains(&name) { Line::Plain } else { Line::Refused(Refusal::Unclear) }
}

/// The options of a list that neither run code nor ask another server nor read another file.
const HARMLESS: &[&str] = &[
    "--no-index",
    "--only-binary",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
];

/// Returns the first line of a list with a character that others may take for the end of a line or
/// for none at all: its number, starting at 1, and the character.
pub fn odd_character(text: &str) -> Option<(usize, char)> {
    let text = text.replace("\r\n", "\n");
    text.split('\n').enumerate().find_map(|(number, line)| {
        let odd = |c: char| {
            (c.is_control() && c != '\t') || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
        };
        Some((number + 1, line.chars().find(|c| odd(*c))?))
    })
}

/// Returns what a requirement in the form of PEP 508, or in one of the forms of pip, asks for.
pub fn requirement(text: &str) -> Line {
    if let Some((name, extras, target)) = direct(text) {
        let found = match directory_or_refusal(target) {
            // A name without a slash behind `@` is a path, too.
            Line::Plain => directory(target),
            found => found,
        };
        return match found {
            Line::Directory(mut found) => {
                found.extras.extend(extras);
                found.names.push(name.to_owned());
                Line::Directory(found)
            }
            Line::File(mut found) => {
                found.extras.extend(extras);
                found.names.push(name.to_owned());
                Line::File(found)
            }
            other => other,
        };
    }
    directory_or_refusal(text)
}

/// Splits `name[extras] @ target`.
fn direct(text: &str) -> Option<(&str, Vec<String>, &str)> {
    let (before, target) = text.split_once('@')?;
    let before = before.trim();
    let (name, extras) = match before.split_once('[') {
        Some((name, rest)) => (name.trim(), names(rest.strip_suffix(']')?)),
        None => (before, vec![]),
    };
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    is_name.then(|| (name, extras, target.trim()))
}

fn directory_or_refusal(text: &str) -> Line {
    let (target, _) = without_marker(text);
    let lower = target.to_ascii_lowercase();
    if REPOSITORIES.iter().any(|scheme| lower.starts_with(scheme)) {
        return Line::Refused(Refusal::Repository);
    }
    if lower.starts_with("file:") {
        return directory(text);
    }
    // A version is behind an operator, so that a slash before it belongs to a path.
    let word = target.split(['=', '<', '>', '!', '~', ' ', '[']).next().unwrap_or(target);
    if target.split('?').next().is_some_and(|before| before.contains("://")) {
        return address(text);
    }
    let is_path = target.starts_with(['.', '/', '~', '\\', '$', '"', '\''])
        || word.contains('/')
        || word.contains('\\')
        || is_archive(word);
    if is_path { directory(text) } else { Line::Plain }
}

/// Returns the directory that a path or a `file:` address names, unless it names an archive.
fn directory(text: &str) -> Line {
    let (whole, marker) = without_marker(text);
    let target = whole.split(['#', '?']).next().unwrap_or(whole).trim_end();
    let with_extras = |text| match without_brackets(text) {
        Some((before, list)) => (before, names(list)),
        None => (text, vec![]),
    };
    let (path, mut extras) = with_extras(target);
    // The form of pip before PEP 508: `#egg=name[extras]`.
    let fragment = whole.split_once('#').map_or("", |(_, fragment)| fragment);
    let eggs = fragment.split('&').filter_map(|part| part.trim().strip_prefix("egg="));
    let mut called = vec![];
    for (name, more) in eggs.map(with_extras) {
        extras.extend(more);
        called.push(decode(name));
    }
    let path = match path.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:")) {
        Some(_) => {
            let rest = &path[5..];
            let rest = rest.strip_prefix("//localhost/").map_or(rest, |_| &rest[11..]);
            decode(rest.strip_prefix("//").unwrap_or(rest))
        }
        None => path.to_owned(),
    };
    if is_archive(&path) {
        let target = FileTarget::Path(plain(path.into()));
        return file(
            NamedFile { names: called, target, extras, marker, sha256: None },
            text,
            fragment,
        );
    }
    Line::Directory(LocalDirectory {
        names: called,
        path: path.into(),
        extras,
        marker,
        editable: false,
    })
}

/// Returns a path without `..`, if no `..` of it leads out of where it begins. Links are not followed:
/// what a lock names must not be behind one.
fn plain(path: PathBuf) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            _ => return path,
        }
    }
    out
}

/// Returns the file that an address names.
fn address(text: &str) -> Line {
    let whole = text.split(" --").next().unwrap_or(text);
    // A semicolon may be part of an address, so that a space is in front of the marker.
    let (whole, marker) = match whole.split_once(" ;") {
        Some((target, marker)) => (target.trim(), Some(marker.trim().to_owned())),
        None => (whole.trim(), None),
    };
    let (url, fragment) = whole.split_once('#').unwrap_or((whole, ""));
    let authority = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let is_web = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'$\\`{}<>".contains(c);
    if !is_web || url.contains(odd) || authority.is_none_or(|a| a.contains('@')) {
        return Line::Refused(Refusal::Address);
    }
    let eggs = fragment.split('&').filter_map(|part| part.strip_prefix("egg="));
    let names = eggs.map(decode).collect();
    let target = FileTarget::Url(url.to_owned());
    let found = NamedFile { names, target, extras: vec![], marker, sha256: None };
    file(found, text, fragment)
}

/// Returns a file with the hash that the fragment of its address, or an option of its line, demands.
fn file(mut found: NamedFile, text: &str, fragment: &str) -> Line {
    let refused = Line::Refused(match found.target {
        FileTarget::Path(_) => Refusal::Archive,
        FileTarget::Url(_) => Refusal::Address,
    });
    let name = found.target.file_name();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
    if !name.chars().all(plain) || !INSTALLABLE.iter().any(|ending| name.ends_with(ending)) {
        return refused;
    }
    let mut hashes = vec![];
    for part in fragment.split('&').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("egg", _)) => {}
            Some(("sha256", hash)) => hashes.push(hash),
            _ => return refused,
        }
    }
    for option in text.split(" --").skip(1).map(str::trim) {
        match option.strip_prefix("hash=sha256:").or_else(|| option.strip_prefix("hash sha256:")) {
            Some(hash) => hashes.push(hash),
            None => return refused,
        }
    }
    hashes.dedup();
    match hashes.as_slice() {
        [] => {}
        [hash] => match hash.parse() {
            Ok(hash) => found.sha256 = Some(hash),
            Err(_) => return refused,
        },
        _ => return refused,
    }
    Line::File(found)
}

/// Splits `text[list]`.
fn without_brackets(text: &str) -> Option<(&str, &str)> {
    let (before, list) = text.strip_suffix(']')?.rsplit_once('[')?;
    Some((before.trim_end(), list))
}

/// Splits a requirement from its marker and from options of it alone.
fn without_marker(text: &str) -> (&str, Option<String>) {
    let text = text.split(" --").next().unwrap_or(text);
    match text.split_once(';') {
        Some((target, marker)) => (target.trim(), Some(marker.trim().to_owned())),
        None => (text.trim(), None),
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn is_archive(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ARCHIVES.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever enters a directory waits for the files of its repository to be read.
    #[test]
    fn a_line_that_goes_on_takes_time_as_it_is_long() {
        let text = "flask ; python_version < \"4\" \\\n".repeat(500_000);
        let read = lines(&text);
        assert_eq!((read.len(), read[0].0), (1, 1));
        assert_eq!(read[0].1.matches("flask").count(), 500_000);
        assert_eq!(lines("a \\\n\n b\\\n c\n"), [(1, "a".to_owned()), (3, "b c".to_owned())]);
    }

    #[test]
    fn paths_that_stay_within_the_project_are_made_plain() {
        for (text, expected) in [
            ("./a/../b/./x.whl", "b/x.whl"),
            ("a/b/../../x.whl", "x.whl"),
            ("./x.whl", "./x.whl"),
            ("../x.whl", "../x.whl"),
            ("./a/../../x.whl", "./a/../../x.whl"),
            ("/a/../x.whl", "/a/../x.whl"),
        ] {
            assert_eq!(plain(text.into()).as_os_str(), expected, "{text}");
        }
    }

    fn found(path: &str, extras: &[&str], marker: Option<&str>) -> Line {
        Line::Directory(LocalDirectory {
            names: vec![],
            path: path.into(),
            extras: extras.iter().map(|e| (*e).to_owned()).collect(),
            marker: marker.map(str::to_owned),
            editable: false,
        })
    }

    fn editable(line: Line) -> Line {
        match line {
            Line::Directory(of) => Line::Directory(LocalDirectory { editable: true, ..of }),
            other => other,
        }
    }

    fn path(text: &str) -> FileTarget {
        FileTarget::Path(text.into())
    }

    fn url(text: &str) -> FileTarget {
        FileTarget::Url(text.to_owned())
    }

    fn file_of(name: Option<&str>, target: FileTarget, marker: Option<&str>) -> Line {
        Line::File(NamedFile {
            names: name.iter().map(|n| (*n).to_owned()).collect(),
            target,
            extras: vec![],
            marker: marker.map(str::to_owned),
            sha256: None,
        })
    }

    fn named(name: &str, path: &str, extras: &[&str]) -> Line {
        match found(path, extras, None) {
            Line::Directory(of) => {
                Line::Directory(LocalDirectory { names: vec![name.to_owned()], ..of })
            }
            other => other,
        }
    }

    #[test]
    fn what_is_no_release_is_found_in_every_form() {
        for (line, expected) in [
            ("-e .", editable(found(".", &[], None))),
            (
                "-e .[x, y] ; python_version > '3'",
                editable(found(".", &["x", "y"], Some("python_version > '3'"))),
            ),
            ("-e.", editable(found(".", &[], None))),
            ("--editable=lib", editable(found("lib", &[], None))),
            ("--editable lib[x]", editable(found("lib", &["x"], None))),
            ("-e lib @ ./lib", editable(named("lib", "./lib", &[]))),
            (".", found(".", &[], None)),
            ("./lib", found("./lib", &[], None)),
            ("../lib[x]", found("../lib", &["x"], None)),
            ("/abs/lib", found("/abs/lib", &[], None)),
            ("lib/", found("lib/", &[], None)),
            ("a/b --config-settings x=y", found("a/b", &[], None)),
            ("lib[x] @ ./lib", named("lib", "./lib", &["x"])),
            ("lib[x] @ lib", named("lib", "lib", &["x"])),
            ("lib@lib", named("lib", "lib", &[])),
            ("lib @ file:lib", named("lib", "lib", &[])),
            ("-e file:///a%20b/c#egg=c", editable(named("c", "/a b/c", &[]))),
            ("-e ./c#subdirectory=x&egg=c[x,y]", editable(named("c", "./c", &["x", "y"]))),
            ("./c[x]#egg=c[y]", named("c", "./c", &["x", "y"])),
            ("FILE://localhost/a", found("/a", &[], None)),
            ("${HOME}/lib", found("${HOME}/lib", &[], None)),
            ("./a-1.tar.gz", file_of(None, path("./a-1.tar.gz"), None)),
            ("./a-1.tar.bz2", Line::Refused(Refusal::Archive)),
            ("-e ./a-1.zip", Line::Refused(Refusal::Archive)),
            ("./a-1.zip --global-option=x", Line::Refused(Refusal::Archive)),
            ("a-1-py3-none-any.whl", file_of(None, path("a-1-py3-none-any.whl"), None)),
            (
                "a @ file:///x/a-1.zip ; python_version > '3'",
                file_of(Some("a"), path("/x/a-1.zip"), Some("python_version > '3'")),
            ),
            ("a @ https://x.example/a-1.tar.gz#sha256=00", Line::Refused(Refusal::Address)),
            (
                "https://x.example/a-1-py3-none-any.whl",
                file_of(None, url("https://x.example/a-1-py3-none-any.whl"), None),
            ),
            (
                "a@https://x.example/a;b/a-1%2B2.zip?q=1 ; os_name == 'x'",
                file_of(
                    Some("a"),
                    url("https://x.example/a;b/a-1%2B2.zip?q=1"),
                    Some("os_name == 'x'"),
                ),
            ),
            ("a @ https://x.example/a", Line::Refused(Refusal::Address)),
            ("a @ https://u:p@x.example/a-1.zip", Line::Refused(Refusal::Address)),
            ("a @ ftp://x.example/a-1.zip", Line::Refused(Refusal::Address)),
            ("a @ https://x.example/$A/a-1.zip", Line::Refused(Refusal::Address)),
            ("a @ git+https://x.example/a", Line::Refused(Refusal::Repository)),
            ("a@hg+https://x.example/a", Line::Refused(Refusal::Repository)),
            ("-e git+ssh://git@x.example/y#egg=y", Line::Refused(Refusal::Repository)),
            ("--no-binary a", Line::Refused(Refusal::Build)),
            ("--no-binary=:all:", Line::Refused(Refusal::Build)),
            ("-f ./dist", Line::Refused(Refusal::Links)),
            ("--find-links https://x.example", Line::Refused(Refusal::Links)),
            ("-r https://x.example/r.txt", Line::Refused(Refusal::RemoteList)),
            ("-c file:///c.txt", Line::Refused(Refusal::RemoteList)),
            ("-i https://x.example/simple", Line::Index("https://x.example/simple".to_owned())),
            ("--extra-index-url http://x.example/${TOKEN}", Line::Refused(Refusal::Unclear)),
            ("-i $INDEX", Line::Refused(Refusal::Unclear)),
            ("-r more.in", Line::List("more.in".to_owned())),
            ("-r sub/Pipfile", Line::Refused(Refusal::Unclear)),
            ("-rmore.in", Line::List("more.in".to_owned())),
            ("--constraint=c.in", Line::Constraints("c.in".to_owned())),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
        for plain in [
            "",
            "a",
            "a==1.0",
            "a[x]>=1,<2 ; platform_version == 'a/b'",
            "a==1 --hash=sha256:00",
            "a-b.c ~= 1.0",
            "--pre",
            "--only-binary :all:",
            "a ; extra == 'x@y'",
        ] {
            assert_eq!(parse(plain), Line::Plain, "{plain}");
        }
    }

    #[test]
    fn a_line_may_continue_and_comments_do_not_count() {
        let text = "# -e .\na==1 \\\n  --hash=sha256:00 # git+https://x\n-e \\\n  ./lib\n";
        let expected = [(1, ""), (2, "a==1 --hash=sha256:00"), (4, "-e ./lib")];
        let found = lines(text);
        let found: Vec<(usize, &str)> = found.iter().map(|(n, l)| (*n, l.as_str())).collect();
        assert_eq!(found, expected);
    }
}
