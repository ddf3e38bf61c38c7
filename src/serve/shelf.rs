//! The trees as the server sends them. Each is packed once and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Condvar, Mutex};

use fs_err as fs;

use super::request::nar_url;
use crate::error::{Error, Result};
use crate::model::StoreName;
use crate::nix::cache_info::CacheInfo;
use crate::nix::keys::SigningKey;
use crate::nix::narinfo::{NarCompression, NarFile, NarInfo};
use crate::store::{Staging, Stamp, Store};
use crate::write::{describe, pack};

/// The trees of a store, and what is packed of them.
pub struct Shelf {
    /// The store with the trees.
    store: Store,
    /// The store that keeps what is packed: the same one, unless it cannot be written.
    keeper: Store,
    /// The key that signs the descriptions.
    key: Option<SigningKey>,
    compression: NarCompression,
    /// The number of trees that are packed at once.
    most: usize,
    names: Mutex<KnownNames>,
    /// The trees that are being packed.
    busy: Mutex<BTreeSet<StoreName>>,
    done: Condvar,
}

/// The names of the trees by their hashes, as they were at a time of the directory.
#[derive(Default)]
struct KnownNames {
    at: Option<Stamp>,
    by_hash: BTreeMap<String, StoreName>,
}

impl Shelf {
    /// Creates the shelf of a store.
    pub fn new(
        store: Store,
        keeper: Store,
        key: Option<SigningKey>,
        compression: NarCompression,
        most: usize,
    ) -> Self {
        let (names, busy, done) = (Mutex::default(), Mutex::default(), Condvar::new());
        Shelf { store, keeper, key, compression, most: most.max(1), names, busy, done }
    }

    /// Returns the text by which the cache introduces itself.
    pub fn introduction(&self) -> String {
        CacheInfo::own().render()
    }

    /// Returns the tree with a hash, if the store has it.
    pub fn find(&self, hash: &str) -> Option<StoreName> {
        let mut names = self.names.lock().ok()?;
        let changed = Stamp::of(&self.store.dir().join("store"));
        if changed != names.at || changed.is_none() {
            let trees = self.store.trees().ok()?;
            names.by_hash = trees.into_iter().map(|name| (name.hash().to_owned(), name)).collect();
            names.at = changed;
        }
        let name = names.by_hash.get(hash)?.clone();
        drop(names);
        self.store.has(&name).then_some(name)
    }

    /// Returns the description of a tree, signed. The tree is packed if it is not.
    ///
    /// # Errors
    /// If the tree is damaged, or cannot be packed.
    pub fn info(&self, name: &StoreName) -> Result<NarInfo> {
        let mut out = match self.packed(name) {
            Some(info) => info,
            None => self.pack(name)?,
        };
        if let Some(key) = &self.key {
            out.info.sign(key);
        }
        Ok(out)
    }

    /// Returns the listing of a tree, or `None` if a name in it is no UTF-8. The tree is packed if it is not.
    ///
    /// # Errors
    /// The same as those of [`Shelf::info`].
    pub fn listing(&self, name: &StoreName) -> Result<Option<String>> {
        self.info(name)?;
        let file = format!("{name}.ls");
        let text = self.keeper.packed_text(&file);
        let text = text.ok_or_else(|| Error::user(format!("{file} is gone")))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Opens the NAR of a tree, if this is its address. The result has its size.
    ///
    /// # Errors
    /// The same as those of [`Shelf::info`].
    pub fn nar(&self, name: &StoreName, url: &str) -> Result<Option<(fs::File, u64)>> {
        let info = self.info(name)?;
        if info.file.url != url {
            return Ok(None);
        }
        let file = format!("{name}.nar{}", info.file.compression.ending());
        let open = || -> std::io::Result<(fs::File, u64)> {
            let file = self.keeper.open_packed(&file)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        open().map(Some).map_err(|e| Error::io(format!("can't read {file}"), e))
    }

    /// Returns the description of a tree that is packed. It has no signature.
    fn packed(&self, name: &StoreName) -> Option<NarInfo> {
        let text = self.keeper.packed_text(&format!("{name}.narinfo"))?;
        let info = NarInfo::parse(&text).ok()?;
        let file = format!("{name}.nar{}", info.file.compression.ending());
        let size = self.keeper.open_packed(&file).and_then(|file| file.metadata()).ok()?.len();
        let is_it = info.info.path == *name
            && info.file.size == Some(size)
            && info.file.compression == self.compression;
        is_it.then_some(info)
    }

    fn pack(&self, name: &StoreName) -> Result<NarInfo> {
        let _turn = self.turn(name);
        if let Some(info) = self.packed(name) {
            return Ok(info);
        }
        let _held = self.store.hold(name);
        let staging = Staging::new(&self.keeper)?;
        let new = staging.dir().join("nar");
        let packed = pack(&self.store.path(name), &new, self.compression)?;
        let info = describe(&self.store, name, packed.nar_hash, packed.nar_size)?;
        let ending = self.compression.ending();
        let file = NarFile {
            url: nar_url(name, &packed.file_hash, ending),
            compression: self.compression,
            hash: Some(packed.file_hash),
            size: Some(packed.file_size),
        };
        let info = NarInfo { info, file };
        self.keeper.keep_packed(&new, &format!("{name}.nar{ending}"))?;
        for (file, text) in [("ls", &packed.listing), ("narinfo", &info.render())] {
            let new = staging.dir().join(file);
            fs::File::create_new(&new)
                .and_then(|mut out| out.write_all(text.as_bytes()))
                .map_err(|e| Error::at("write", &new, e))?;
            self.keeper.keep_packed(&new, &format!("{name}.{file}"))?;
        }
        Ok(info)
    }

    /// Waits until this thread may pack a tree: no other thread packs it, and few others are packed.
    fn turn(&self, name: &StoreName) -> Turn<'_> {
        let mut busy = self.busy.lock().expect("no panic holds it");
        while busy.contains(name) || busy.len() >= self.most {
            busy = self.done.wait(busy).expect("no panic holds it");
        }
        busy.insert(name.clone());
        Turn { shelf: self, name: name.clone() }
    }
}

/// The turn of a thread to pack a tree, until it is dropped.
struct Turn<'a> {
    shelf: &'a Shelf,
    name: StoreName,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Ok(mut busy) = self.shelf.busy.lock() {
            busy.remove(&self.name);
        }
        self.shelf.done.notify_all();
    }
}
