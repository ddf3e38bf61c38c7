//! Checks the hashed requirements of a resolution beside which code of packages ran: that code could
//! write to the file, and pip and Bazel's rules obey what stands in it.

use std::str::FromStr;
use std::sync::Arc;

use pep440_rs::Version;

use crate::error::{Error, Result};
use crate::fetch::python_index::IndexProject;
use crate::lockfile::version_in_file_name;
use crate::model::{Digest, is_project_name, normalize_project};
use crate::python::dependency::RequiresDist;

/// The form of a line of the list that uv writes.
enum Line<'a> {
    /// An empty line or a comment.
    Nothing,
    /// `name==version`, perhaps with extras and a marker.
    Pin { name: &'a str, version: &'a str },
    /// `--hash=sha256:...` of the pin before.
    Hash(Digest),
}

/// The hashes that may follow a line.
enum Hashes<'a> {
    /// Those of files of a project of the index.
    Index(&'a str, Arc<IndexProject>),
    /// That of a file which the project names.
    File(Digest),
}

/// Returns the normalised names of the projects that are pinned.
pub fn projects(text: &str) -> Vec<String> {
    let pin = |line| match parse(line) {
        Some(Line::Pin { name, .. }) => Some(normalize_project(name)),
        _ => None,
    };
    text.split('\n').filter_map(pin).collect()
}

/// Checks that each line of `text` is one that uv writes, and that the versions and hashes are those
/// of files of the index, for which `page` asks, or of the files that the lists of the project name
/// in place of releases, `files`, by their places.
///
/// # Errors
/// If a line is another, or names what neither of them has.
pub fn check(
    text: &str,
    files: &[(String, Digest)],
    page: &dyn Fn(&str) -> Result<Arc<IndexProject>>,
) -> Result<()> {
    let mut pinned: Option<Hashes> = None;
    for (n, line) in text.split('\n').enumerate() {
        let refused = |why: &str| {
            Error::verification("the resolution is refused")
                .because(format!("{why} in line {} of its result: {line:?}", n + 1))
                .because("code of a package that was built for it may have written that")
                .hint("look at what `build` names, and leave it out until you trust it")
        };
        if let Some(digest) = file_of(line, files) {
            pinned = Some(Hashes::File(digest));
            continue;
        }
        match (parse(line), &pinned) {
            (Some(Line::Nothing), _) => {}
            (Some(Line::Pin { name, version }), _) => {
                let found = page(&normalize_project(name))?;
                let parsed = Version::from_str(version);
                let of_file = |file: &str| Version::from_str(&version_in_file_name(file, name));
                let is_there =
                    parsed.is_ok() && found.files.iter().any(|f| of_file(&f.name) == parsed);
                if !is_there {
                    return Err(refused("expected a version that the index has, got another"));
                }
                pinned = Some(Hashes::Index(name, found));
            }
            (Some(Line::Hash(hash)), Some(Hashes::File(digest))) if hash == *digest => {}
            (Some(Line::Hash(hash)), Some(Hashes::Index(name, page))) => {
                // An index need not state the hashes of its files.
                let stated = page.files.iter().all(|file| file.sha256.is_some());
                if stated && !page.files.iter().any(|file| file.sha256 == Some(hash)) {
                    return Err(refused(&format!(
                        "expected a hash of a file of {name}, got another"
                    )));
                }
            }
            _ => return Err(refused("expected a pin, a hash or a comment, got something else")),
        }
    }
    Ok(())
}

/// Returns the hash of the file that a line names by its place, if the project names it, too.
fn file_of(line: &str, files: &[(String, Digest)]) -> Option<Digest> {
    let content = line.strip_suffix(" \\").unwrap_or(line);
    let (requirement, marker) = content.split_once(" ; ").unwrap_or((content, ""));
    let plain = |c: char| c.is_ascii_graphic() && !"\\#$-".contains(c) || c == ' ';
    let target = match requirement.split_once(" @ ") {
        Some((name, target)) => {
            let (name, extras) = name.split_once('[').unwrap_or((name, ""));
            let of_extras = |c: char| c.is_ascii_alphanumeric() || "-_.,]".contains(c);
            (is_project_name(name) && extras.chars().all(of_extras)).then_some(target)?
        }
        None => requirement,
    };
    let named = files.iter().find(|(place, _)| place == target)?;
    marker.chars().all(plain).then_some(named.1)
}

fn parse(line: &str) -> Option<Line<'_>> {
    // Readers differ in what ends a line.
    if line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return None;
    }
    let trimmed = line.trim_start_matches(' ');
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return (!line.ends_with('\\')).then_some(Line::Nothing);
    }
    let content = line.strip_suffix(" \\").unwrap_or(line);
    if let Some(hash) = content.strip_prefix("    --hash=sha256:") {
        return hash.parse().ok().map(Line::Hash);
    }
    // A word after the requirement would be an option to some readers.
    if content.contains(" -") || content.contains(['\\', '#', '$']) {
        return None;
    }
    RequiresDist::from_str(content).ok()?;
    let (requirement, _) = content.split_once(';').unwrap_or((content, ""));
    let (name, version) = requirement.trim_end().split_once("==")?;
    let (name, _) = name.split_once('[').unwrap_or((name, ""));
    is_project_name(name).then_some(Line::Pin { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::python_index::ProjectFile;

    fn page(name: &str) -> Result<Arc<IndexProject>> {
        let file = ProjectFile {
            name: format!("{name}-1.0-py3-none-any.whl"),
            url: String::new(),
            sha256: Some(Digest::of(b"one")),
            size: None,
            yanked: false,
            requires_python: None,
            uploaded: None,
        };
        Ok(Arc::new(IndexProject { name: name.to_owned(), files: vec![file] }))
    }

    #[test]
    fn what_uv_writes_passes() {
        let hash = Digest::of(b"one").hex();
        let text = format!(
            "# made by uv\n#    cotter lock\nidna==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{hash}\n    # via\n    #   -r requirements.in\n\nuvicorn[standard]==1.0 \\\n    --hash=sha256:{hash}\n"
        );
        check(&text, &[], &page).expect("all lines are of uv");
    }

    #[test]
    fn files_that_the_project_names_pass_with_their_hash() {
        let digest = Digest::of(b"file");
        let files = [("./x/own-1.0-py3-none-any.whl".to_owned(), digest)];
        let check = |text: &str| check(text, &files, &page);
        let hash = digest.hex();
        for line in [
            "./x/own-1.0-py3-none-any.whl",
            "own @ ./x/own-1.0-py3-none-any.whl ; sys_platform == 'linux'",
            "own[a,b] @ ./x/own-1.0-py3-none-any.whl",
        ] {
            check(&format!("{line} \\\n    --hash=sha256:{hash}")).expect(line);
            check(&format!("{line} \\\n    --hash=sha256:{}", Digest::of(b"other").hex()))
                .expect_err(line);
        }
        for line in [
            "./x/other-1.0-py3-none-any.whl",
            "own @ ./x/own-1.0-py3-none-any.whl --index-url=x",
            "own @ ./x/own-1.0-py3-none-any.whl ; x --index-url=x",
            "-r x @ ./x/own-1.0-py3-none-any.whl",
        ] {
            check(line).expect_err(line);
        }
    }

    #[test]
    fn other_lines_are_refused() {
        let wrong = Digest::of(b"two").hex();
        for text in [
            "--extra-index-url https://evil.example/simple".to_owned(),
            "idna @ https://evil.example/idna-1.0-py3-none-any.whl".to_owned(),
            "idna==1.0 --extra-index-url=https://evil.example/".to_owned(),
            "idna==1.0 ; sys_platform == 'x' --global-option=x".to_owned(),
            "-r /etc/passwd".to_owned(),
            "./evil".to_owned(),
            "idna>=1.0".to_owned(),
            "idna==2.0".to_owned(),
            "# a comment that goes on \\\n--index-url x".to_owned(),
            "# x\r--index-url x".to_owned(),
            "idna==1.0 \\\n    --hash=md5:1".to_owned(),
            format!("idna==1.0 \\\n    --hash=sha256:{wrong}"),
            format!("    --hash=sha256:{wrong}"),
        ] {
            let error = check(&text, &[], &page).expect_err(&text);
            assert!(error.to_string().contains("refused"), "{text}: {error}");
        }
    }
}
