//! Keeps the pages of an index from leading to servers that are nearer to this machine than the index.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::http::{Http, origin, redact};
use super::vicinity::{Vicinity, reaches, resolved, stated};
use crate::error::{Error, Result};

/// Decides which servers the pages of one index may name.
pub struct IndexBounds<'a> {
    http: &'a Http,
    index: &'a str,
    of_index: BTreeSet<Vicinity>,
    /// The servers that were looked at.
    known: RefCell<BTreeMap<String, Option<Vicinity>>>,
}

impl<'a> IndexBounds<'a> {
    /// Creates the bounds of an index.
    pub fn new(http: &'a Http, index: &'a str) -> Self {
        let (of_index, known) = (nearness(http, index), RefCell::default());
        IndexBounds { http, index, of_index, known }
    }

    /// Checks a file that a page of the index names.
    ///
    /// # Errors
    /// If its server is nearer to this machine than the index is.
    pub fn check(&self, url: &str) -> Result<()> {
        let Some(server) = origin(url).filter(|_| self.index.starts_with("http")) else {
            return Ok(());
        };
        let mut known = self.known.borrow_mut();
        let too_near = known.entry(server.clone()).or_insert_with(|| {
            let of_file = nearness(self.http, url);
            of_file.into_iter().find(|vicinity| !reaches(&self.of_index, *vicinity))
        });
        match too_near {
            None => Ok(()),
            Some(vicinity) => Err(Error::verification(format!(
                "a page of the index {} names files on {server}",
                redact(self.index)
            ))
            .because(format!(
                "expected a server that is no nearer than the index, got one on {}",
                vicinity.words()
            ))
            .hint("ask whoever runs the index; a mirror on your network is named by its own address: [mirrors] python = [...]")),
        }
    }
}

/// Returns how near the server of a URL is. Behind a proxy, only the proxy resolves names.
fn nearness(http: &Http, url: &str) -> BTreeSet<Vicinity> {
    let Ok(url) = Url::parse(url) else { return BTreeSet::new() };
    match http.has_proxy_for(&url) {
        true => stated(&url).into_iter().collect(),
        false => resolved(&url, http.addresses()),
    }
}
