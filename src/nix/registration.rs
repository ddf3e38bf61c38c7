//! What Nix has registered of store paths, as `nix-store --dump-db PATH...` prints it: for each, lines with the path, the hash of its NAR in base 16, the length of
//! the NAR, the path of its derivation or nothing, the number of references, and each of them. Source: `makeValidityRegistration` in Nix's
//! `libstore/store-api.cc`.

use super::locked::is_named_by_content;
use super::narinfo::PathInfo;
use super::store_path;
use crate::model::{Digest, StoreName, decimal};

/// Reads what was printed.
///
/// # Errors
/// A sentence that states what was expected.
pub fn parse(text: &str) -> Result<Vec<PathInfo>, String> {
    let mut lines = text.lines();
    let mut out = vec![];
    while let Some(path) = lines.next() {
        let mut next = |what: &str| lines.next().ok_or(format!("expected {what}, got the end"));
        let number =
            |text: &str| decimal(text).ok_or_else(|| format!("expected a number, got {text:?}"));
        let path = store_path::parse(path)?;
        let hash = next("a hash")?;
        let nar_hash = hash.parse::<Digest>().map_err(|e| format!("{hash:?} is no hash: {e}"))?;
        let nar_size = number(next("a length")?)?;
        let deriver = next("a derivation")?;
        let deriver = (!deriver.is_empty()).then(|| store_path::parse(deriver)).transpose()?;
        let count = number(next("a number of references")?)?;
        let references = (0..count).map(|_| store_path::parse(next("a reference")?));
        let mut references = references.collect::<Result<Vec<_>, _>>()?;
        references.sort();
        references.dedup();
        out.push(of_path(path, nar_hash, nar_size, references, deriver));
    }
    Ok(out)
}

/// Returns what is known of a path. If its name follows from its content, that is noted, so that it needs no signature.
pub fn of_path(
    path: StoreName,
    nar_hash: Digest,
    nar_size: u64,
    references: Vec<StoreName>,
    deriver: Option<StoreName>,
) -> PathInfo {
    let ca = Some(PathInfo::ca_of_tree(&nar_hash));
    let signatures = vec![];
    let mut info = PathInfo { path, nar_hash, nar_size, references, deriver, signatures, ca };
    if !is_named_by_content(&info) {
        info.ca = None;
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/nix/store/iz6b6adyqvb64049bj6jxsqym0hv81c5-data-1";
    const HASH: &str = "289bc993f91d4bdb903dc92340f5a6c96b4ba3819c628cac0df69ef3809582c1";

    #[test]
    fn lines_of_a_registration_are_read_and_others_refused() {
        let text = format!("{PATH}\n{HASH}\n416\n\n0\n{PATH}\n{HASH}\n8\n{PATH}.drv\n1\n{PATH}\n");
        let read = parse(&text).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].nar_size, read[0].nar_hash.hex()), (416, HASH.to_owned()));
        assert_eq!((&read[0].deriver, &read[0].ca), (&None, &None));
        assert_eq!(read[1].references, [store_path::parse(PATH).unwrap()]);
        for (text, why) in [
            (format!("{PATH}\n{HASH}\n"), "expected a length"),
            (format!("{PATH}\n{HASH}\n1\n\n2\n{PATH}\n"), "expected a reference"),
            (format!("{PATH}\nabc\n1\n\n0\n"), "is no hash"),
            (format!("{PATH}\n{HASH}\n-1\n\n0\n"), "expected a number"),
            ("/usr/bin\n".to_owned(), "expected a path in /nix/store"),
        ] {
            let refused = parse(&text).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
