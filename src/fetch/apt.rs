//! The Debian mirrors for which this machine's apt is configured. Source: sources.list(5).

use std::path::Path;

use fs_err as fs;

/// Returns the base URIs of the archive `archive` (`debian`, `debian-security`) in the apt
/// configuration below `etc` (usually `/etc/apt`). A URI counts if its path ends in the name of the
/// archive, because other archives have other files under the same names.
pub fn machine_mirrors(etc: &Path, archive: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let mut files = vec![etc.join("sources.list")];
    if let Ok(dir) = fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<_> = dir.filter_map(|e| Some(e.ok()?.path())).collect();
        more.sort();
        files.extend(more);
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let uris = match file.extension().and_then(|e| e.to_str()) {
            Some("list") => one_line(&text),
            Some("sources") => deb822(&text),
            _ => continue,
        };
        for uri in uris {
            let uri = uri.trim_end_matches('/').to_owned();
            if uri.starts_with("http")
                && uri.ends_with(&format!("/{archive}"))
                && !out.contains(&uri)
            {
                out.push(uri);
            }
        }
    }
    out
}

fn one_line(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split('#').next()?.trim().strip_prefix("deb "))
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
            rest.split_whitespace().next().map(str::to_owned)
        })
        .collect()
}

fn deb822(text: &str) -> Vec<String> {
    let mut out = vec![];
    for stanza in text.split("\n\n") {
        let mut uris = vec![];
        let mut in_uris = false;
        let mut enabled = true;
        for line in stanza.lines().filter(|l| !l.starts_with('#')) {
            if line.starts_with(char::is_whitespace) {
                if in_uris {
                    uris.extend(line.split_whitespace().map(str::to_owned));
                }
                continue;
            }
            let (key, value) = line.split_once(':').unwrap_or((line, ""));
            in_uris = key.eq_ignore_ascii_case("URIs");
            if in_uris {
                uris.extend(value.split_whitespace().map(str::to_owned));
            }
            if key.eq_ignore_ascii_case("Enabled") && value.trim().eq_ignore_ascii_case("no") {
                enabled = false;
            }
        }
        if enabled {
            out.extend(uris);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        assert_eq!(
            one_line(
                "# x\ndeb [arch=amd64 signed-by=/k] http://m.example/debian bookworm main\ndeb-src http://s.example/debian b main\n"
            ),
            ["http://m.example/debian"]
        );
        let text = "Types: deb\n# c\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: x\n\nTypes: deb\nEnabled: no\nURIs: http://c.example/debian\n";
        assert_eq!(deb822(text), ["http://a.example/debian", "http://b.example/debian"]);
    }
}
