//! Packs a tree of the store as a NAR: it is read once, and hashed, listed, compressed and written as its bytes come.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use fs_err as fs;

use crate::error::{Error, Result, from_io};
use crate::model::{Digest, Hasher, StoreName};
use crate::nix::listing::NarListing;
use crate::nix::nar::{NarVisitor, NarWriter};
use crate::nix::narinfo::{NarCompression, PathInfo};
use crate::nix::store_path;
use crate::store::{Store, dump};

/// The level of zstd: its default, at which it writes some hundred MB per second.
const ZSTD_LEVEL: i32 = 3;

/// The level of xz: its default.
const XZ_LEVEL: u32 = 6;

/// The number of bytes of a file that are read at a time.
const CHUNK: usize = 256 << 10;

/// A packed tree.
#[derive(Debug)]
pub struct Packed {
    /// The SHA-256 hash of the NAR.
    pub nar_hash: Digest,
    /// The length of the NAR in bytes.
    pub nar_size: u64,
    /// The hash of the file.
    pub file_hash: Digest,
    /// The length of the file in bytes.
    pub file_size: u64,
    /// The listing of the NAR. It is empty if there can be none.
    pub listing: String,
}

/// Packs the tree at `path` as the new file `to`.
///
/// # Errors
/// If the tree cannot be read, if the file cannot be written, or if the compression is none that is written.
pub fn pack(path: &Path, to: &Path, compression: NarCompression) -> Result<Packed> {
    let file = fs::File::create_new(to).map_err(|e| Error::at("write", to, e))?;
    let work = || -> io::Result<Packed> {
        let file = Hashed { out: BufWriter::with_capacity(CHUNK, file), hasher: Hasher::default() };
        let nar = Hashed { out: Encoder::new(file, compression)?, hasher: Hasher::default() };
        let mut both = Listed { nar: NarWriter::new(nar)?, listing: NarListing::default() };
        dump(path, &mut both, &mut vec![0; CHUNK])?;
        let nar = both.nar.into_inner();
        let (nar_size, nar_hash) = (nar.hasher.len(), nar.hasher.finish());
        let mut file = nar.out.finish()?;
        file.out.flush()?;
        let listing = both.listing.render().unwrap_or_default();
        let (file_size, file_hash) = (file.hasher.len(), file.hasher.finish());
        Ok(Packed { nar_hash, nar_size, file_hash, file_size, listing })
    };
    work().map_err(|e| {
        let _ = fs::remove_file(to);
        from_io(format!("can't pack {}", path.display()), e)
    })
}

/// Returns what a cache says of a tree of the store with this NAR. A path that came from a cache of Nix keeps its references and signatures.
///
/// # Errors
/// If the tree is not the one that its name, or what is recorded of it, states.
pub fn describe(
    store: &Store,
    name: &StoreName,
    nar_hash: Digest,
    nar_size: u64,
) -> Result<PathInfo> {
    if let Some(info) = store.info(name)
        && (info.nar_hash, info.nar_size) == (nar_hash, nar_size)
    {
        return Ok(info);
    }
    if store_path::of_tree(&nar_hash, name.name()).as_ref() != Ok(name) {
        return Err(Error::verification(format!("{name} is not what its name says"))
            .because(format!("its NAR hash is {}", nar_hash.sri()))
            .hint("run `cotter verify --deep --repair` to make it anew"));
    }
    Ok(PathInfo {
        path: name.clone(),
        nar_hash,
        nar_size,
        references: vec![],
        deriver: None,
        signatures: vec![],
        ca: Some(PathInfo::ca_of_tree(&nar_hash)),
    })
}

/// Checks that a tree is in the store.
///
/// # Errors
/// If it is not.
pub(super) fn exists(store: &Store, name: &StoreName) -> Result<()> {
    if store.has(name) {
        return Ok(());
    }
    Err(Error::user(format!("{name} is not in the store")).hint("run `cotter setup`"))
}

/// Hashes what it passes on.
struct Hashed<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        crate::interrupt::check()?;
        let n = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Compresses what is written to it.
enum Encoder<W: Write> {
    None(W),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Xz(Box<liblzma::write::XzEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    fn new(out: W, compression: NarCompression) -> io::Result<Self> {
        Ok(match compression {
            NarCompression::None => Encoder::None(out),
            NarCompression::Zstd => {
                Encoder::Zstd(zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?)
            }
            NarCompression::Xz => {
                Encoder::Xz(Box::new(liblzma::write::XzEncoder::new(out, XZ_LEVEL)))
            }
            other => {
                return Err(Error::user(format!("no cache is written with {other}"))
                    .hint("use zstd, xz or none")
                    .into());
            }
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Encoder::None(out) => Ok(out),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::None(out) => out.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
            Encoder::Xz(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::None(out) => out.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
            Encoder::Xz(encoder) => encoder.flush(),
        }
    }
}

/// Writes a NAR and its listing.
struct Listed<W: Write> {
    nar: NarWriter<Hashed<W>>,
    listing: NarListing,
}

impl<W: Write> NarVisitor for Listed<W> {
    fn begin_directory(&mut self) -> io::Result<()> {
        self.nar.begin_directory()?;
        self.listing.begin_directory()
    }

    fn end_directory(&mut self) -> io::Result<()> {
        self.nar.end_directory()?;
        self.listing.end_directory()
    }

    fn begin_entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.nar.begin_entry(name)?;
        self.listing.begin_entry(name)
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.nar.end_entry()?;
        self.listing.end_entry()
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.nar.symlink(target)?;
        self.listing.symlink(target)
    }

    fn begin_file(&mut self, executable: bool, size: u64) -> io::Result<()> {
        self.nar.begin_file(executable, size)?;
        self.listing.content_begins_at(self.nar.get_ref().hasher.len());
        self.listing.begin_file(executable, size)
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.nar.content(bytes)
    }

    fn end_file(&mut self, size: u64) -> io::Result<()> {
        self.nar.end_file(size)?;
        self.listing.end_file(size)
    }
}
