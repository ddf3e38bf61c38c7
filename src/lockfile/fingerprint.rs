//! The fingerprint of what the manifest asked for when an entry was locked. It is only compared
//! with what the manifest asks for now, and serves no other purpose.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::redact;

/// The maximum number of values that are named for one key. More would not help.
const MOST_VALUES: usize = 50;

/// What the manifest asked for, in words. The type is opaque on purpose: everything that determines
/// a tree is in its [`Spec`](super::Spec) and its inputs. A fingerprint only tells whether an entry
/// is stale, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, Vec<String>>);

impl Fingerprint {
    /// Records what was asked for under `key`. An empty list is not recorded.
    pub fn note<S: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = S>) {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.0.insert(key.to_owned(), values);
        }
    }

    /// Returns the keys with their values, for the text of the lock.
    pub(super) fn entries(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }

    /// Returns what was asked for under `key`.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Creates a fingerprint from the entries in the text of a lock.
    pub(super) fn of_entries(entries: BTreeMap<String, Vec<String>>) -> Self {
        Fingerprint(entries)
    }

    /// Returns the differences between this locked fingerprint and `now`: one sentence for each
    /// key.
    pub fn differences(&self, now: &Fingerprint) -> Vec<String> {
        let mut out = vec![];
        let keys: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        for key in keys {
            let of = |side: &'_ Fingerprint| side.0.get(key).cloned().unwrap_or_default();
            let (was, is) = (of(self), of(now));
            if was == is {
                continue;
            }
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                let those: HashSet<&String> = those.iter().collect();
                let mut only = these.iter().filter(|v| !those.contains(v));
                let mut out: Vec<String> =
                    only.by_ref().take(MOST_VALUES).map(|v| redact(v)).collect();
                let more = only.count();
                out.extend((more > 0).then(|| format!("and {more} more")));
                out
            };
            let (added, removed) = (only(&is, &was), only(&was, &is));
            let mut parts = vec![];
            if !added.is_empty() {
                parts.push(format!("added {}", added.join(", ")));
            }
            if !removed.is_empty() {
                parts.push(format!("removed {}", removed.join(", ")));
            }
            if parts.is_empty() {
                parts.push("another order".to_owned());
            }
            out.push(format!("{key}: {}", parts.join("; ")));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_some_of_very_many_values() {
        let of = |range: std::ops::Range<u32>| {
            let mut out = Fingerprint::default();
            out.note("prune", range.map(|i| format!("p{i}")));
            out
        };
        assert_eq!(of(0..2).differences(&of(1..3)), ["prune: added p2; removed p0"]);
        let start = std::time::Instant::now();
        let said = of(0..200_000).differences(&of(200_000..400_000));
        assert!(!said[0].contains("p199999") && said[0].contains("p200049, and 199950 more"));
        // The time grew with the product of the two lengths: minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(10));
    }
}
