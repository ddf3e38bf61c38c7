//! A writer of the binary caches of shared-mime-info: big-endian numbers, and offsets of texts that
//! follow at the end.

use std::collections::BTreeMap;

/// A cache in progress.
#[derive(Debug, Default)]
pub struct Cache {
    out: Vec<u8>,
    /// The texts, each with the places of its offset.
    texts: BTreeMap<Vec<u8>, Vec<usize>>,
}

impl Cache {
    /// Returns the offset of what is written next.
    pub fn position(&self) -> u32 {
        u32::try_from(self.out.len()).expect("a cache is far below 4 GB")
    }

    /// Writes a number of 16 bits.
    pub fn short(&mut self, number: u16) {
        self.out.extend(number.to_be_bytes());
    }

    /// Writes a number.
    pub fn number(&mut self, number: u32) {
        self.out.extend(number.to_be_bytes());
    }

    /// Writes the length of a list.
    pub fn count(&mut self, count: usize) {
        self.number(u32::try_from(count).expect("a list is far below 4 GB"));
    }

    /// Leaves room for some numbers, and returns its place.
    pub fn reserve(&mut self, numbers: usize) -> usize {
        let at = self.out.len();
        self.out.resize(at + 4 * numbers, 0);
        at
    }

    /// Sets a number for which room was left.
    pub fn set(&mut self, at: usize, number: u32) {
        self.out[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }

    /// Writes the offset of a text, which a NUL ends.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes the offset of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let at = self.reserve(1);
        self.texts.entry(bytes.to_owned()).or_default().push(at);
    }

    /// Writes the texts, and returns the cache.
    pub fn finish(mut self) -> Vec<u8> {
        for (text, places) in std::mem::take(&mut self.texts) {
            let offset = self.position();
            self.out.extend(&text);
            // Every text ends with a NUL and at a multiple of four.
            let end = (self.out.len() / 4 + 1) * 4;
            self.out.resize(end, 0);
            for at in places {
                self.set(at, offset);
            }
        }
        self.out
    }
}
