//! What the manifest asked for when an entry was locked: compared with what it asks for now, and
//! read for nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::redact;

/// What the manifest asked for, in words. Opaque on purpose: whatever makes a tree stands in its
/// [`Spec`](super::Spec) and its inputs. A fingerprint only tells whether an entry is stale, and
/// says why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, Vec<String>>);

impl Fingerprint {
    /// Notes what was asked for under `key`; nothing is noted of an empty list.
    pub fn note<S: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = S>) {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.0.insert(key.to_owned(), values);
        }
    }

    /// The keys with their values, for the lock's text.
    pub(super) fn entries(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }

    /// A fingerprint as the lock's text gives it.
    pub(super) fn of_entries(entries: BTreeMap<String, Vec<String>>) -> Self {
        Fingerprint(entries)
    }

    /// What differs between this, which was locked, and `now`: a sentence for each key.
    pub fn differences(&self, now: &Fingerprint) -> Vec<String> {
        let mut out = vec![];
        let keys: BTreeSet<&String> = self.0.keys().chain(now.0.keys()).collect();
        for key in keys {
            let of = |side: &'_ Fingerprint| side.0.get(key).cloned().unwrap_or_default();
            let (was, is) = (of(self), of(now));
            if was == is {
                continue;
            }
            let only = |these: &[String], those: &[String]| {
                these.iter().filter(|v| !those.contains(v)).map(|v| redact(v)).collect::<Vec<_>>()
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
