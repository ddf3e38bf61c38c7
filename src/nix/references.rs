//! Finds the store paths to which bytes refer: by the 32 characters of their hashes, wherever they are. Source: `RefScanSink` in Nix's
//! `libstore/references.cc`.

use std::collections::{BTreeSet, HashMap};

use crate::model::{StoreName, base32};

/// The length of a hash in the name of a path.
const LENGTH: usize = 32;

/// Finds those of some paths to which a stream of bytes refers.
pub struct ReferenceScanner<'n> {
    by_hash: HashMap<&'n [u8], &'n StoreName>,
    found: BTreeSet<&'n StoreName>,
    /// The last bytes, in which a hash may have begun.
    tail: Vec<u8>,
}

impl<'n> ReferenceScanner<'n> {
    /// Creates a scanner that knows these paths. Of two with one hash, only the one with the shorter name is a path: the other is a lock file of Nix.
    pub fn new(known: impl IntoIterator<Item = &'n StoreName>) -> Self {
        let mut by_hash: HashMap<&[u8], &StoreName> = HashMap::new();
        for name in known {
            let there = by_hash.entry(name.hash().as_bytes()).or_insert(name);
            if name.as_str().len() < there.as_str().len() {
                *there = name;
            }
        }
        ReferenceScanner { by_hash, found: BTreeSet::new(), tail: vec![] }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend(&bytes[..bytes.len().min(LENGTH - 1)]);
        self.search(&seam);
        self.search(bytes);
        let last = if bytes.len() < LENGTH { &seam } else { bytes };
        self.tail = last[last.len().saturating_sub(LENGTH - 1)..].to_vec();
    }

    /// Returns the paths that were found, sorted.
    pub fn finish(self) -> Vec<StoreName> {
        self.found.into_iter().cloned().collect()
    }

    /// Looks for hashes that lie in these bytes as a whole. A window is judged from its end: behind a byte that no hash has, the next one begins.
    fn search(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + LENGTH) {
            at += match window.iter().rposition(|byte| !base32::is_digit(*byte)) {
                Some(place) => place + 1,
                None => {
                    self.found.extend(self.by_hash.get(window));
                    1
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_however_the_bytes_are_divided() {
        let names: Vec<StoreName> = [
            "kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-a",
            "00000000000000000000000000000000-b",
            "1111111111111111111111111111111z-c",
            "22222222222222222222222222222222-d.lock",
            "22222222222222222222222222222222-d",
        ]
        .map(|name| name.parse().unwrap())
        .to_vec();
        // The digits before the second make a longer run, and the third is cut off.
        let text = "x/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-a abc00000000000000000000000000000000 22222222222222222222222222222222 1111111111111111111111111111111";
        let expected = [&names[1], &names[4], &names[0]];
        for length in 1..=text.len() {
            let mut scanner = ReferenceScanner::new(&names);
            text.as_bytes().chunks(length).for_each(|part| scanner.feed(part));
            assert_eq!(scanner.finish().iter().collect::<Vec<_>>(), expected, "{length}");
        }
    }
}
