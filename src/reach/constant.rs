//! Finds absolute paths below the directories of a Debian system, or of the store of Nix, in the bytes of
//! a file.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem;

/// The directories, without their leading slash: those of a system, and the store of Nix.
const ROOTS: &[&[u8]] = &[
    b"usr",
    b"etc",
    b"opt",
    b"lib",
    b"lib32",
    b"lib64",
    b"libx32",
    b"bin",
    b"sbin",
    b"var/lib",
    b"nix/store",
];
/// The ends of the names of source files.
const SOURCES: &[&[u8]] = &[b".c", b".go", b".h", b".rs", b".s"];
/// Endings of names behind which another string may follow without a separator.
const ENDINGS: &[&[u8]] = &[b".allow", b".conf", b".crt", b".pem", b".types", b".zip", b".go"];
/// No constant is longer than the longest path of Linux (in bytes).
const LONGEST: usize = 4096;

/// What must precede a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// The beginning of a string of C, or a separator in it.
    String,
    /// Anything, because the strings of the program are not separated (Go, Rust).
    Packed,
    /// A quotation mark, as in the source text of a program.
    Quoted,
    /// A character that does not belong to the name of a file.
    Word,
}

impl Boundary {
    fn accepts(self, before: Option<u8>) -> bool {
        let Some(before) = before else { return true };
        match self {
            Boundary::String => {
                matches!(
                    before,
                    0 | b':' | b'=' | b' ' | b'"' | b'\'' | b'\n' | b'\t' | b';' | b'(' | b','
                )
            }
            Boundary::Packed => !matches!(before, b'/' | b'.'),
            Boundary::Quoted => matches!(before, b'"' | b'\'' | b'`'),
            Boundary::Word => {
                !before.is_ascii_alphanumeric() && !b"_.-/~+%$}{@*])\\!&<^#?".contains(&before)
            }
        }
    }
}

/// Adds the constants in a part of a file to `out`: normalised absolute paths. `accept` is asked
/// about the place of each one.
///
/// A placeholder (`%s`, `$HOME`, `*`) ends a constant, and only the directory before it counts. A
/// directory at the top alone, such as `/usr`, is no constant, because programs put such strings
/// together with others, unless a placeholder follows.
pub fn constants(
    bytes: &[u8],
    range: Range<usize>,
    boundary: Boundary,
    accept: &dyn Fn(usize) -> bool,
    out: &mut BTreeSet<String>,
) {
    let end = range.end.min(bytes.len());
    let mut at = range.start;
    while at < end {
        let Some(step) = memchr::memchr(b'/', &bytes[at..end]) else { return };
        let start = at + step;
        at = start + 1;
        let rest = &bytes[start + 1..end];
        let before = start.checked_sub(1).map(|i| bytes[i]);
        // The end of a directory, but not the beginning of a URL.
        let is_end = bytes[..start].ends_with(b"/") && !bytes[..start].ends_with(b":/");
        let is_one = match boundary {
            Boundary::Packed => (boundary.accepts(before) || is_end) && begins_packed(rest),
            _ => (boundary.accepts(before) || bytes[..start].ends_with(b"file://")) && begins(rest),
        };
        if !is_one {
            continue;
        }
        let most = end.min(start + LONGEST);
        let mut length =
            bytes[start..most].iter().position(|b| !is_path_byte(*b)).unwrap_or(most - start);
        if boundary == Boundary::Packed {
            // The next constant may follow without a separator.
            let next = (1..length).find(|i| {
                bytes[start + i] == b'/' && begins_packed(&bytes[start + i + 1..start + length])
            });
            length = next.unwrap_or(length);
            length = end_of_name(&bytes[start..start + length]);
            if SOURCES.iter().any(|end| bytes[start..start + length].ends_with(end)) {
                // Such programs contain the names of their source files for messages.
                at = start + length;
                continue;
            }
        }
        let stop = start + length;
        if let Some(path) = normal(&bytes[start..stop], bytes.get(stop).copied(), boundary)
            && accept(start)
        {
            out.insert(path);
        }
        at = stop;
    }
}

/// Whether the text after a slash names one of the directories.
fn begins(rest: &[u8]) -> bool {
    if !matches!(rest.first(), Some(b'u' | b'e' | b'o' | b'l' | b'b' | b's' | b'v' | b'n')) {
        return false;
    }
    ROOTS.iter().any(|root| {
        rest.starts_with(root) && rest.get(root.len()).is_none_or(|b| !is_name_byte(*b))
    })
}

/// The same where strings are not separated: only directories whose names are no common ends of
/// other paths.
fn begins_packed(rest: &[u8]) -> bool {
    [&b"usr/"[..], b"etc/", b"opt/", b"var/lib/", b"nix/store/"]
        .iter()
        .any(|root| rest.starts_with(root))
}

/// Returns the length up to the first known ending or up to a long number, or the whole length.
fn end_of_name(path: &[u8]) -> usize {
    let number = path.windows(6).position(|w| w.iter().all(u8::is_ascii_digit));
    let path = &path[..number.unwrap_or(path.len())];
    let found = ENDINGS.iter().filter_map(|e| Some(memmem::find(path, e)? + e.len())).min();
    found.unwrap_or(path.len())
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+')
}

fn is_path_byte(b: u8) -> bool {
    is_name_byte(b) || matches!(b, b'/' | b'@' | b'~' | b'#')
}

/// Returns the path without `.`, `..` and repeated slashes, or `None` if it is no constant.
fn normal(bytes: &[u8], next: Option<u8>, boundary: Boundary) -> Option<String> {
    let mut text = std::str::from_utf8(bytes).ok()?;
    let is_open = matches!(next, Some(b'%' | b'$' | b'*' | b'{' | b'[' | b'?' | b'<' | b'\\'))
        || text.contains('@');
    if is_open {
        text = text.split('@').next().unwrap_or(text);
        text = &text[..text.rfind('/')?];
    } else if boundary == Boundary::Word {
        text = text.trim_end_matches(['.', '#', '~']);
    }
    let mut parts: Vec<&str> = vec![];
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let deep = parts.len() > 1 || (is_open && parts.len() == 1);
    let root = parts.join("/");
    (deep && begins(root.as_bytes())).then(|| format!("/{root}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8], boundary: Boundary) -> Vec<String> {
        let mut out = BTreeSet::new();
        constants(bytes, 0..bytes.len(), boundary, &|_| true, &mut out);
        out.into_iter().collect()
    }

    #[test]
    fn strings_of_c() {
        let bytes = b"\0/usr/share/x\0a/usr/no\0PATH=/bin:/usr/local/bin\0/usr\0/library/a\0\
            /etc/%s/config\0/usr/lib/gcc/12/../../include\0https://a.example/usr/b\0/.no/lib\0//etc/y\0/lib64/z\0/usr//lib/./q/\0";
        let expected = [
            "/etc",
            "/lib64/z",
            "/usr/lib/include",
            "/usr/lib/q",
            "/usr/local/bin",
            "/usr/share/x",
        ];
        assert_eq!(found(bytes, Boundary::String), expected);
    }

    #[test]
    fn strings_without_separators() {
        let bytes = b"invalid/usr/share/zoneinfo//etc/ssl/certs/ca.crt/etc/pki/tls\0a/bin/b\0/bin/c\0../usr/rel/usr/src/a.go/etc/r.conf0123";
        let expected =
            ["/etc/pki/tls", "/etc/r.conf", "/etc/ssl/certs/ca.crt", "/usr/share/zoneinfo"];
        assert_eq!(found(bytes, Boundary::Packed), expected);
    }

    #[test]
    fn texts() {
        let text = b"open('/etc/x.conf') # see /usr/share/doc\nf = \"/usr/lib/${name}/y\"\n";
        assert_eq!(found(text, Boundary::Quoted), ["/etc/x.conf", "/usr/lib"]);
        let text = b"dir=/usr/lib/x. Then (/opt/y), $root/usr/z and ~/etc/w or file:///usr/v";
        assert_eq!(found(text, Boundary::Word), ["/opt/y", "/usr/lib/x", "/usr/v"]);
    }

    #[test]
    fn hostile_bytes_do_no_harm() {
        for bytes in [
            &b"/"[..],
            b"/usr",
            b"\0/usr/",
            b"/usr/../../../etc",
            b"/usr/..",
            b"/usr/@",
            b"/usr/\xff\xfe",
        ] {
            for boundary in [Boundary::String, Boundary::Packed, Boundary::Quoted, Boundary::Word] {
                for path in found(bytes, boundary) {
                    assert!(path.starts_with('/') && !path.contains(".."), "{path}");
                }
            }
        }
        let long = [b"/usr/".repeat(4000), b"x".repeat(9000)].concat();
        assert!(found(&long, Boundary::String).iter().all(|p| p.len() < 2 * LONGEST));
    }
}
