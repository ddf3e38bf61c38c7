//! A binary cache in a directory, for this machine alone: nothing is compressed, and nobody signs.

use std::path::Path;

use fs_err as fs;

use super::pack::{exists, pack};
use crate::error::{Error, Result};
use crate::nix::cache_info::CacheInfo;
use crate::nix::narinfo::{NarCompression, NarFile, NarInfo, PathInfo};
use crate::store::Store;

/// Writes paths of the store, as they are described, to the directory `to`, which is made.
///
/// # Errors
/// If one of them is not what its description says, or if the directory cannot be written.
pub fn write_cache(store: &Store, paths: &[PathInfo], to: &Path) -> Result<()> {
    let write = |name: &str, text: &str| {
        let file = to.join(name);
        fs::write(&file, text).map_err(|e| Error::at("write", &file, e))
    };
    fs::create_dir(to).map_err(|e| Error::at("make", to, e))?;
    write("nix-cache-info", &CacheInfo::own().render())?;
    for info in paths {
        exists(store, &info.path)?;
        let url = format!("{}.nar", info.path.hash());
        let packed = pack(&store.path(&info.path), &to.join(&url), NarCompression::None)?;
        if (packed.nar_hash, packed.nar_size) != (info.nar_hash, info.nar_size) {
            return Err(Error::verification(format!("{} is not what it was", info.path))
                .because(format!(
                    "expected the NAR hash {}, got {}",
                    info.nar_hash.sri(),
                    packed.nar_hash.sri()
                ))
                .hint("run `cotter verify --deep --repair` to make it anew"));
        }
        let file = NarFile {
            url,
            compression: NarCompression::None,
            hash: Some(packed.file_hash),
            size: Some(packed.file_size),
        };
        let described = NarInfo { info: info.clone(), file };
        write(&format!("{}.narinfo", info.path.hash()), &described.render())?;
    }
    Ok(())
}
