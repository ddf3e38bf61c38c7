//! What a lock says of a path of a Nix store.

use crate::manifest::{Fields, Problems};
use crate::model::{NixPath, StoreName};
use crate::nix::keys::CacheSignature;
use crate::nix::store_path;
use crate::text::toml::Table;

/// Reads the table. `None`: problems were added.
pub fn read(mut table: Fields, problems: &mut Problems) -> Option<NixPath> {
    let before = problems.count();
    let path = table.required_string("path", problems);
    let path = path.and_then(|path| {
        store_path::parse(&path.value).map_err(|why| problems.add(path.span, why)).ok()
    });
    let mut references: Vec<StoreName> = vec![];
    for reference in table.string_list("references", problems).unwrap_or_default() {
        match reference.value.parse() {
            Ok(name) => references.push(name),
            Err(why) => {
                let why: String = why;
                problems.add(reference.span, format!("references: {why}"));
            }
        }
    }
    references.sort();
    references.dedup();
    let deriver = crate::manifest::parsed::<StoreName>(&mut table, "deriver", problems);
    let signature = crate::manifest::parsed::<CacheSignature>(&mut table, "signature", problems);
    let ca = table.string("ca", problems).and_then(|ca| {
        let is_plain = ca.value.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain {
            problems.add(ca.span, "ca: expected printable characters");
        }
        is_plain.then_some(ca.value)
    });
    let built = table.bool("built", problems).unwrap_or(false);
    table.finish(problems);
    let signature = signature.map(|signature| signature.to_string());
    let path = path.filter(|_| problems.count() == before)?;
    Some(NixPath { path, references, deriver, signature, ca, built })
}

/// Returns the table.
pub fn table(nix: &NixPath) -> Table {
    let mut out = Table::default();
    let references: Vec<&str> = nix.references.iter().map(StoreName::as_str).collect();
    out.string("path", &store_path::full(&nix.path))
        .some_strings("references", &references)
        .maybe_string("deriver", nix.deriver.as_ref().map(StoreName::as_str))
        .maybe_string("signature", nix.signature.as_deref())
        .maybe_string("ca", nix.ca.as_deref())
        .flag("built", nix.built);
    out
}
