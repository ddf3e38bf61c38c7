//! Which files of a tree are searched for constants, and how: comments, documentation, licences and
//! what compilers read say nothing about what a program opens.

use memchr::memrchr;

use super::constant::Boundary;

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// What precedes a constant.
    pub boundary: Boundary,
    /// Whether the text may contain Perl's documentation.
    pod: bool,
    /// Whether lines may be comments.
    comments: bool,
}

/// Directories whose files no program opens for the paths in them, as a part of a path.
const SKIPPED_DIRS: &[&str] = &[
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/licenses/",
    "usr/share/common-licenses/",
    "usr/share/lintian/",
    "usr/share/bug/",
    "usr/share/locale/",
    "usr/share/icons/",
    "usr/share/pixmaps/",
    "usr/share/fonts/",
    "usr/share/zoneinfo/",
    "usr/share/help/",
    "usr/share/applications/",
    "usr/share/menu/",
    "/include/",
    ".dist-info/",
    ".egg-info/",
    "/licenses/",
    "/doc/",
    "/docs/",
    "/test/",
    "/tests/",
    "/testdata/",
    "/examples/",
    "usr/share/debconf/",
    "usr/share/bash-completion/",
    "usr/share/zsh/",
    "usr/share/fish/",
    "etc/bash_completion.d/",
    "etc/cron.",
    "etc/init.d/",
    "etc/systemd/",
    "usr/lib/systemd/",
    "etc/logrotate.d/",
    "etc/apparmor.d/",
    "usr/share/apport/",
    "etc/skel/",
];
/// The ends of such names: documentation, source text for compilers, objects for linkers, bytecode of
/// modules whose texts are searched, and formats that are compressed or contain no paths of the host.
const SKIPPED_ENDS: &[&str] = &[
    ".adoc", ".html", ".htm", ".info", ".md", ".pdf", ".po", ".pod", ".pot", ".ps", ".rst", ".tex",
    ".txt", ".css", ".a", ".c", ".cc", ".cpp", ".cxx", ".f90", ".go", ".zig", ".swift", ".kt",
    ".scala", ".d", ".adb", ".ads", ".h", ".hh", ".hpp", ".hs", ".java", ".ml", ".mli", ".o",
    ".pyc", ".rlib", ".rs", ".s", ".S", ".syso", ".cmi", ".cmx", ".cma", ".bz2", ".gif", ".gz",
    ".ico", ".jar", ".jmod", ".jpg", ".lzma", ".mo", ".otf", ".png", ".svg", ".tar", ".ttf",
    ".whl", ".woff", ".woff2", ".xz", ".zip", ".zst", ".pc",
];
/// The beginnings of such names.
const SKIPPED_STARTS: &[&str] =
    &["AUTHORS", "CHANGELOG", "COPYING", "ChangeLog", "LICENSE", "NEWS", "README", "copyright"];
/// The ends of the names of programs' source texts in which a path stands in quotation marks.
const QUOTED: &[&str] = &[
    ".el", ".js", ".cjs", ".mjs", ".lua", ".php", ".pl", ".pm", ".ph", ".py", ".R", ".rb", ".scm",
    ".t", ".tcl", ".vim", ".json",
];

/// Whether a file that is no ELF file is not searched, by its path in the tree.
pub fn is_skipped(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    SKIPPED_STARTS.iter().any(|s| name.starts_with(s))
        || SKIPPED_ENDS.iter().any(|s| name.ends_with(s))
        || SKIPPED_DIRS.iter().any(|dir| path.contains(dir))
}

/// Returns how a file that is no ELF file is read.
pub fn syntax(path: &str, head: &[u8]) -> Syntax {
    let head = &head[..head.len().min(512)];
    if memchr::memchr(0, head).is_some() {
        return Syntax { boundary: Boundary::String, pod: false, comments: false };
    }
    let line = head.strip_prefix(b"#!").and_then(|h| h.split(|b| *b == b'\n').next());
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let is_of = |names: &[&str]| names.iter().any(|n| line.contains(n));
    let perl = is_of(&["perl"]) || [".pl", ".pm", ".ph", ".t"].iter().any(|e| path.ends_with(e));
    let quoted = perl
        || is_of(&["python", "ruby", "node", "php", "lua", "tclsh", "wish", "Rscript"])
        || QUOTED.iter().any(|e| path.ends_with(e));
    let boundary = if quoted { Boundary::Quoted } else { Boundary::Word };
    Syntax { boundary, pod: perl, comments: true }
}

impl Syntax {
    /// Whether the byte at `at` of a text belongs to what a program reads, and not to a comment, to
    /// documentation or to the `#!` line.
    pub fn accepts(&self, text: &[u8], at: usize) -> bool {
        if !self.comments {
            return true;
        }
        let start = memrchr(b'\n', &text[..at]).map_or(0, |i| i + 1);
        let line = &text[start..at];
        if start == 0 && text.starts_with(b"#!") {
            return false;
        }
        let first = line.trim_ascii_start();
        let is_comment =
            [&b"#"[..], b"//", b";", b"--", b"%", b"/*", b"* ", b"<!--", b".\\\"", b"dnl "];
        if is_comment.iter().any(|c| first.starts_with(c)) || has_comment(line) {
            return false;
        }
        !(self.pod && is_pod(text, start))
    }
}

/// Whether a line contains a `#` that begins a comment: one behind a space, outside of quotation
/// marks.
fn has_comment(line: &[u8]) -> bool {
    let mut quote = None;
    let mut before = b' ';
    for b in line {
        match (quote, *b) {
            (None, b'#') if before.is_ascii_whitespace() => return true,
            (None, b'"' | b'\'') => quote = Some(*b),
            (Some(q), b) if b == q && before != b'\\' => quote = None,
            _ => {}
        }
        before = *b;
    }
    false
}

/// Whether the last paragraph of the form `=word` before `start` begins documentation of Perl.
fn is_pod(text: &[u8], start: usize) -> bool {
    let mut end = start;
    while let Some(newline) = memrchr(b'\n', &text[..end]) {
        let line = &text[newline + 1..];
        if line.starts_with(b"=") && line.get(1).is_some_and(u8::is_ascii_alphabetic) {
            return !line.starts_with(b"=cut");
        }
        end = newline;
    }
    text.starts_with(b"=") && text.get(1).is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::reach::constants;

    fn found(path: &str, text: &str) -> Vec<String> {
        let syntax = syntax(path, text.as_bytes());
        let mut out = BTreeSet::new();
        let accept = |at| syntax.accepts(text.as_bytes(), at);
        constants(text.as_bytes(), 0..text.len(), syntax.boundary, &accept, &mut out);
        out.into_iter().collect()
    }

    #[test]
    fn comments_and_documentation_do_not_count() {
        let shell = "#!/usr/bin/env bash\n# /usr/share/a\n. /etc/b # not /etc/c\necho \"# /etc/d\"\n  # /etc/e\n";
        assert_eq!(found("usr/bin/x", shell), ["/etc/b", "/etc/d"]);
        let perl = "use x;\n\n=head1 NAME\n\n'/usr/share/a'\n\n=cut\n\nopen F, '/usr/share/b'; # '/usr/share/c'\n";
        assert_eq!(found("x.pm", perl), ["/usr/share/b"]);
        let python = "\"\"\"Reads /etc/a.\"\"\"\nopen('/etc/b')  # '/etc/c'\n";
        assert_eq!(found("x.py", python), ["/etc/b"]);
        assert_eq!(found("x.conf", "; /etc/a\ninclude /etc/b\n// /etc/c\n"), ["/etc/b"]);
    }

    #[test]
    fn documentation_is_skipped() {
        for path in [
            "usr/share/doc/x/conf",
            "usr/lib/x/README.Debian",
            "usr/include/a/paths",
            "usr/lib/libx.a",
            "a/COPYING",
        ] {
            assert!(is_skipped(path), "{path}");
        }
        for path in
            ["etc/x.conf", "usr/bin/x", "usr/lib/x/plugin.so", "usr/share/perl/5.36/strict.pm"]
        {
            assert!(!is_skipped(path), "{path}");
        }
    }
}
