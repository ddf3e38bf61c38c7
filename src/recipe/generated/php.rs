//! The configuration of PHP: the `php.ini` of each of its programs, and the extensions that the
//! scripts of its packages enable.

use super::api::{Generated, names, text};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The order in which an extension is loaded if its configuration names none.
const PRIORITY: &str = "20";

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let versions = names(tree, "usr/lib/php", "");
    for version in versions.iter().filter(|v| v.contains('.')) {
        // A file for each way to start PHP (`cli`, `fpm`, ...) that is installed.
        let interfaces = names(tree, &format!("usr/lib/php/{version}/sapi"), "");
        let etc = format!("etc/php/{version}");
        let mut modules: Vec<(String, String)> = vec![];
        for name in names(tree, &format!("{etc}/mods-available"), ".ini") {
            modules.push((name.clone(), format!("{etc}/mods-available/{name}")));
        }
        for path in templates(tree, version) {
            let name = path.file_name().to_owned();
            if modules.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
            out.file(blobs, &format!("{etc}/mods-available/{name}"), &blob.read()?)?;
            modules.push((name, path.to_string()));
        }
        for interface in &interfaces {
            let ending = if interface == "cli" { ".cli" } else { "" };
            let ini =
                MemberPath::literal(&format!("usr/lib/php/{version}/php.ini-production{ending}"));
            if let Some((_, blob)) = tree.file(&ini) {
                out.file(blobs, &format!("{etc}/{interface}/php.ini"), &blob.read()?)?;
            }
            for (name, source) in &modules {
                let content = text(tree, source)?.unwrap_or_default();
                let priority = priority(&content);
                out.link(
                    &format!("{etc}/{interface}/conf.d/{priority}-{name}"),
                    &format!("{etc}/mods-available/{name}"),
                );
            }
        }
    }
    Ok(out)
}

/// Returns the configurations of extensions that the packages of a version bring:
/// `usr/share/php8.2-xml/xml/dom.ini`.
fn templates(tree: &Tree, version: &str) -> Vec<MemberPath> {
    let prefix = format!("php{version}-");
    tree.paths(|path, node| {
        let parts: Vec<&str> = path.parts().collect();
        matches!(node, Node::File { .. })
            && matches!(&parts[..], ["usr", "share", package, _, file]
                if package.starts_with(&prefix) && file.ends_with(".ini"))
    })
}

/// Returns the priority that a configuration names: `; priority=10`.
fn priority(content: &str) -> &str {
    let named = content.lines().find_map(|line| {
        let value = line.strip_prefix(';')?.trim_start().strip_prefix("priority")?;
        let value = value.trim_start().strip_prefix('=')?.trim();
        (!value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())).then_some(value)
    });
    named.unwrap_or(PRIORITY)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_priority_is_read_from_a_comment() {
        assert_eq!(super::priority("; for xml\n; priority=15\nextension=xml.so\n"), "15");
        assert_eq!(super::priority(";priority = 5 \n"), "5");
        assert_eq!(super::priority("extension=a.so\npriority=1\n; priority=high\n"), "20");
    }
}
