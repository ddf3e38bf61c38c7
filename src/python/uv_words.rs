//! What the words of uv tell: the addresses that it could not fetch, and the projects that it would
//! have to build.

use crate::fetch::origin;
use crate::model::{normalize_project, redact};

/// The greatest number of addresses that are asked again.
const MOST: usize = 5;

/// Returns the addresses in a text.
fn urls(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "`'\"<>(),".contains(c);
    let is_url = |word: &&str| {
        ["http://", "https://"].iter().any(|s| word.len() > s.len() && word.starts_with(s))
    };
    text.split(ends).map(|w| w.trim_end_matches(['.', ':', ';'])).filter(is_url)
}

/// Returns the first addresses out of a text of uv that are asked again: those on the servers of the indexes.
/// The text repeats what packages and pages say, which must not choose the servers that this machine
/// asks, with its credentials.
pub(super) fn asked_again<'a>(said: &'a str, indexes: &[String]) -> Vec<&'a str> {
    let root = |url: &str| redact(url).trim_end_matches('/').to_owned();
    let is_asked = |url: &&str| {
        let server = origin(url);
        let is_known = server.is_some() && indexes.iter().any(|index| origin(index) == server);
        // The address of an index itself need not be accessible: only paths below it are.
        is_known && !url.contains('?') && !indexes.iter().any(|index| root(index) == root(url))
    };
    let mut out = vec![];
    for url in urls(said).filter(is_asked) {
        if out.len() < MOST && !out.contains(&url) {
            out.push(url);
        }
    }
    out
}

/// Returns the projects for which uv reports that only source is available. Only a hint depends on
/// the words of this output.
pub(super) fn wants_source(said: &str) -> Vec<String> {
    let mut out: Vec<String> = said
        .split("Wheels are required for `")
        .skip(1)
        .filter_map(|rest| rest.split('`').next())
        .map(normalize_project)
        .collect();
    out.sort();
    out.dedup();
    out
}

/// What uv advises with options that users of cotter cannot pass, and what takes its place.
const ADVICE: &[(&str, &str)] = &[
    (
        " (try: `--prerelease=allow`)",
        "; a requirement that names one enables them, such as >=2.0rc1",
    ),
    (
        "If all indexes are equally trusted, use `--index-strategy unsafe-best-match` to consider all versions from all indexes, regardless of the order in which they were defined.",
        "The order of the indexes is that of `[mirrors] python`.",
    ),
    (" (i.e., with `--no-build`)", ""),
    (" (i.e., with `--only-binary :all:`)", ""),
    (" because `--no-build` was provided", ""),
];

/// Returns a text of uv without advice that users of cotter cannot follow.
pub(super) fn in_our_words(said: &str) -> String {
    ADVICE.iter().fold(said.to_owned(), |said, (theirs, ours)| said.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_words_of_uv() {
        let said = "error: Failed to fetch: http://127.0.0.1:1/lib/l-1.whl\n  cause: HTTP status client error (404 File not found) for url (http://127.0.0.1:1/lib/l-1.whl)\nsee `https://x.example/y`.";
        let wheel = "http://127.0.0.1:1/lib/l-1.whl";
        assert_eq!(urls(said).collect::<Vec<_>>(), [wheel, wheel, "https://x.example/y"]);
        assert_eq!(urls("http:// none").next(), None);
    }

    #[test]
    fn only_servers_of_indexes_are_asked_again() {
        let indexes = ["https://u:p@i.example/simple/".to_owned()];
        let named = [
            "https://i.example/simple",
            "https://i.example/simple/a/",
            "https://i.example/files/a.whl",
            "https://i.example/files/a?delete=1",
            "https://files.example/a.whl",
            "http://i.example/simple/a/",
            "https://i.example:8443/a",
            "https://u@i.example@evil.example/a",
            "http://169.254.169.254/latest",
        ];
        let named = named.map(|url| format!("error: Failed to fetch: `{url}`"));
        assert_eq!(
            asked_again(&named.join("\n"), &indexes),
            ["https://i.example/simple/a/", "https://i.example/files/a.whl"]
        );
        assert_eq!(asked_again(&"https://i.example/a ".repeat(9), &indexes).len(), 1);
    }

    #[test]
    fn options_of_uv_are_not_advised() {
        let said = "hint: Pre-releases are available for `a` in the requested range (e.g., 2.0rc1), but pre-releases weren't enabled (try: `--prerelease=allow`)";
        let ours = in_our_words(said);
        assert!(!ours.contains("--") && ours.ends_with("such as >=2.0rc1"), "{ours}");
        assert_eq!(in_our_words("No solution found"), "No solution found");
    }

    #[test]
    fn what_has_no_wheel_is_found_in_the_words_of_uv() {
        let said = "error: No solution found when resolving dependencies\n  cause: Because docopt==0.6.2 has no usable wheels\n\nhint: Wheels are required for `Doc_opt` because building from source is disabled for all packages (i.e., with `--no-build`)\n";
        assert_eq!(wants_source(said), ["doc-opt"]);
        assert_eq!(wants_source("error: other"), Vec::<String>::new());
    }
}
