//! Pushes trees of the store to a binary cache. The NAR comes first and its description last, so that a cache never names what it does not have.

use super::blob_store::BlobStore;
use super::pack::{describe, exists, pack};
use crate::error::{Error, Result};
use crate::fetch::Upload;
use crate::model::StoreName;
use crate::nix::cache_info::{self, CacheInfo};
use crate::nix::keys::SigningKey;
use crate::nix::narinfo::{NarCompression, NarFile, NarInfo};
use crate::parallel;
use crate::reporter::Reporter;
use crate::store::{Staging, Store};

/// What is needed to push.
pub struct Push<'a> {
    /// The store with the trees.
    pub store: &'a Store,
    /// The cache.
    pub to: &'a dyn BlobStore,
    /// The key that signs the descriptions.
    pub key: &'a SigningKey,
    /// The compression of the NARs.
    pub compression: NarCompression,
    /// The number of trees that are packed at once.
    pub jobs: usize,
    /// Reports progress.
    pub reporter: &'a Reporter,
}

/// What was done with a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Its name.
    pub name: StoreName,
    /// The length of its NAR in bytes.
    pub nar_size: u64,
    /// The length of its file in bytes.
    pub file_size: u64,
    /// Whether the cache had it before.
    pub was_there: bool,
}

impl Push<'_> {
    /// Pushes trees. The results are in the order of the names.
    ///
    /// # Errors
    /// The first failure. What was pushed before stays in the cache.
    pub fn run(&self, names: &[StoreName]) -> Result<Vec<Pushed>> {
        names.iter().try_for_each(|name| exists(self.store, name))?;
        self.introduce()?;
        parallel::each(names, self.jobs, &|name| self.tree(name))
    }

    /// Writes the file by which the cache introduces itself, if there is none.
    fn introduce(&self) -> Result<()> {
        let name = self.to.name();
        match self.to.text(cache_info::FILE_NAME)? {
            Some(text) => CacheInfo::parse(&text).map(drop).map_err(|why| {
                Error::user(format!("nothing is pushed to {name}"))
                    .because(why)
                    .hint("name an empty place, or a cache of the usual store")
            }),
            None => self.to.put(cache_info::FILE_NAME, Upload::Text(&CacheInfo::own().render())),
        }
    }

    fn tree(&self, name: &StoreName) -> Result<Pushed> {
        let path = format!("{}.narinfo", name.hash());
        if let Some(pushed) = self.already(name, &path)? {
            return Ok(pushed);
        }
        let staging = Staging::new(self.store)?;
        let file = staging.dir().join("nar");
        let packed = {
            let _spinner = self.reporter.spinner("packing", name.name());
            pack(&self.store.path(name), &file, self.compression)?
        };
        let mut info = describe(self.store, name, packed.nar_hash, packed.nar_size)?;
        info.sign(self.key);
        let url = format!("nar/{}.nar{}", packed.file_hash.nix32(), self.compression.ending());
        let size = packed.file_size;
        {
            let _spinner = self.reporter.spinner("pushing", name.name());
            if !self.to.has(&url, Some(size))? {
                self.to.put(&url, Upload::File { path: &file, from: 0, size })?;
            }
            self.to.put(&format!("{}.ls", name.hash()), Upload::Text(&packed.listing))?;
            let (hash, size) = (Some(packed.file_hash), Some(size));
            let file = NarFile { url, compression: self.compression, hash, size };
            self.to.put(&path, Upload::Text(&NarInfo { info, file }.render()))?;
        }
        Ok(Pushed {
            name: name.clone(),
            nar_size: packed.nar_size,
            file_size: size,
            was_there: false,
        })
    }

    /// Whether the cache has a tree, and the whole file that its description names. If another key signed it, this one does, too.
    ///
    /// Whoever can write to the cache may have written the description, so only what the store says of the tree is signed.
    fn already(&self, name: &StoreName, path: &str) -> Result<Option<Pushed>> {
        let Some(text) = self.to.text(path)? else { return Ok(None) };
        let Ok(there) = NarInfo::parse(&text) else {
            self.reporter
                .warn(&format!("{path} of {} is damaged, and is written anew", self.to.name()));
            return Ok(None);
        };
        let (hash, size) = (there.info.nar_hash, there.info.nar_size);
        let Ok(mut info) = describe(self.store, name, hash, size) else { return Ok(None) };
        if info.fingerprint() != there.info.fingerprint() {
            self.reporter.warn(&format!(
                "{path} of {} says something else of {name} than the store, and is written anew",
                self.to.name()
            ));
            return Ok(None);
        }
        if !there.file.url.starts_with("nar/") || !self.to.has(&there.file.url, there.file.size)? {
            return Ok(None);
        }
        let pushed = Pushed {
            name: name.clone(),
            nar_size: there.info.nar_size,
            file_size: there.file.size.unwrap_or(0),
            was_there: true,
        };
        if there.info.signer([&self.key.public()]).is_none() {
            let known: Vec<_> = info.signatures.iter().map(|s| s.name().to_owned()).collect();
            let others =
                there.info.signatures.iter().filter(|s| !known.iter().any(|k| k == s.name()));
            info.signatures.extend(others.cloned());
            info.sign(self.key);
            let file = there.file;
            self.to.put(path, Upload::Text(&NarInfo { info, file }.render()))?;
        }
        Ok(Some(pushed))
    }
}
