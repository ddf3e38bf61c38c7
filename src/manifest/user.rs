//! The configuration file of a user. It says what is particular to the machine or to the person, and
//! nothing that a lock or a check depends on.

use std::collections::BTreeMap;

use super::{Problems, read_mirrors, root_table};

/// What the file of a user says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// The mirrors by family, which come before those of the manifest.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// The number of inputs that are processed at once.
    pub jobs: Option<usize>,
    /// The directory of the store: an absolute path, or one that begins with `~/`.
    pub store: Option<String>,
    /// When colours are used: a value of `--color`.
    pub color: Option<String>,
}

/// The greatest number of inputs that are processed at once.
pub const MOST_JOBS: u64 = 256;

impl UserConfig {
    /// Reads the text of the file. Every problem is added to `problems`.
    pub fn parse(text: &str, problems: &mut Problems) -> UserConfig {
        let mut root = root_table("the configuration", text, problems);
        let mirrors = read_mirrors(&mut root, problems).into_iter();
        let mirrors = mirrors
            .map(|(family, urls)| (family, urls.into_iter().map(|url| url.value).collect()))
            .collect();
        let jobs = root.number("jobs", problems).and_then(|jobs| {
            let fits = (1..=MOST_JOBS).contains(&jobs.value);
            if !fits {
                problems.add(
                    jobs.span,
                    format!("expected a number from 1 to {MOST_JOBS}, got {}", jobs.value),
                );
            }
            usize::try_from(jobs.value).ok().filter(|_| fits)
        });
        let store = root.string("store", problems).and_then(|store| {
            let fits = store.value.starts_with('/') || store.value.starts_with("~/");
            if !fits {
                problems.add(
                    store.span,
                    format!(
                        "expected an absolute path, or one that begins with ~/, got {:?}",
                        store.value
                    ),
                );
            }
            fits.then_some(store.value)
        });
        let color = root.string("color", problems).and_then(|color| {
            let fits = ["auto", "always", "never"].contains(&color.value.as_str());
            if !fits {
                problems.add(
                    color.span,
                    format!("expected \"auto\", \"always\" or \"never\", got {:?}", color.value),
                );
            }
            fits.then_some(color.value)
        });
        root.finish(problems);
        UserConfig { mirrors, jobs, store, color }
    }
}
