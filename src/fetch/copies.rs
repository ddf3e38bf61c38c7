//! Copies of indexes that are decoded faster: the same text in zstd, where mirrors have xz. A copy lies among the
//! downloads, and has the name that follows from the digest of its text, with which it is compared whenever it is read.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{Fetcher, create_held};
use crate::error::Result;
use crate::model::{Digest, HashingReader};
use crate::unpack::decoded_beside;

/// The least size of a text of which a copy is made, in bytes. Shorter ones are read fast enough.
const LEAST: u64 = 1 << 20;

/// The level of the compression, which must not take longer than the reading.
const LEVEL: i32 = 1;

/// The digest and the size in bytes of a text.
pub type TextOfIndex = (Digest, u64);

/// A copy that is written while the text is read.
struct Copying {
    writer: Option<zstd::stream::write::Encoder<'static, fs::File>>,
    new: PathBuf,
    to: PathBuf,
}

impl Copying {
    /// Begins a copy. What does not work costs the next reader time and nothing else.
    fn begin(fetcher: &Fetcher, digest: &Digest) -> Copying {
        let (new, to) = (fetcher.new_file(&digest.hex()), path(fetcher, digest));
        let file = create_held(&new);
        let writer = file.and_then(|file| zstd::stream::write::Encoder::new(file, LEVEL)).ok();
        Copying { writer, new, to }
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.writer.as_mut().is_some_and(|writer| writer.write_all(bytes).is_err()) {
            self.writer = None;
        }
    }

    /// Gives the copy its name, if the text is whole.
    fn end(mut self, is_whole: bool) {
        let finished = self.writer.take().filter(|_| is_whole).map(|writer| writer.finish());
        if matches!(finished, Some(Ok(_))) && fs::rename(&self.new, &self.to).is_ok() {
            return;
        }
        let _ = fs::remove_file(&self.new);
    }
}

/// A reader that passes on what is read to a copy.
struct Copied<'a, R> {
    inner: R,
    copy: &'a mut Copying,
}

impl<R: Read> Read for Copied<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.copy.add(&buf[..n]);
        Ok(n)
    }
}

fn path(fetcher: &Fetcher, digest: &Digest) -> PathBuf {
    fetcher.inputs.join(format!("{}.zst", digest.hex()))
}

impl Fetcher {
    /// Reads an index with `read`: its copy, or the file `name` that `fetch` returns, of which a copy is made. `text` is what is signed of its text; without it,
    /// there is no copy. `read` is called again if a copy is damaged.
    ///
    /// # Errors
    /// Those of `fetch` and of `read`.
    pub fn index<T>(
        &self,
        name: &str,
        text: Option<TextOfIndex>,
        fetch: impl FnOnce() -> Result<PathBuf>,
        read: &dyn Fn(&mut dyn io::BufRead) -> Result<T>,
    ) -> Result<T> {
        let text = text.filter(|(_, size)| *size >= LEAST);
        if let Some((digest, size)) = &text {
            let copy = path(self, digest);
            if let Ok(file) = fs::File::open(&copy) {
                if let Ok(Some(out)) = of_copy(&copy, file, digest, *size, read) {
                    return Ok(out);
                }
                let _ = fs::remove_file(&copy);
            }
        }
        let file = fetch()?;
        let open = fs::File::open(&file).map_err(|e| crate::error::Error::at("read", &file, e))?;
        let Some((digest, _)) = text else { return decoded_beside(name, open, read) };
        let mut copy = Copying::begin(self, &digest);
        let out = decoded_beside(name, open, |inner| {
            read(&mut BufReader::with_capacity(256 << 10, Copied { inner, copy: &mut copy }))
        });
        copy.end(out.is_ok());
        out
    }

    /// Returns the path of a file that is about to be written among the downloads. A process has one of each name.
    pub(super) fn new_file(&self, name: &str) -> PathBuf {
        self.inputs.join(format!(".new-{}-{}", std::process::id(), &name[..32]))
    }
}

/// Reads a copy. Returns nothing if its text is not the one of the digest.
fn of_copy<T>(
    path: &Path,
    file: fs::File,
    digest: &Digest,
    size: u64,
    read: &dyn Fn(&mut dyn io::BufRead) -> Result<T>,
) -> Result<Option<T>> {
    let name = path.to_string_lossy();
    decoded_beside(&name, file, |text| {
        let mut text = BufReader::with_capacity(256 << 10, HashingReader::new(text.take(size + 1)));
        let out = read(&mut text)?;
        let (length, found) = text.into_inner().finish().map_err(crate::tree::archive_error)?;
        Ok((length == size && found == *digest).then_some(out))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::fetch::{Http, Mirrors, Patience, Proxies};

    #[test]
    fn a_copy_serves_until_it_is_damaged() {
        let dir = std::env::temp_dir().join(format!("cotter-copies-{}", std::process::id()));
        fs_err::create_dir_all(&dir).unwrap();
        let moment = std::time::Duration::from_secs(1);
        let patience = Patience { stall: moment, retries: 0, backoff: moment };
        let http = Http::new(true, patience, "", Proxies::default());
        let fetcher = Fetcher::new(http, Mirrors::default(), dir.clone());
        let text = "Package: a\nVersion: 1\n\n".repeat(100_000);
        let plain = dir.join("Packages");
        fs_err::write(&plain, &text).unwrap();
        let digest = Digest::of(text.as_bytes());
        let signed = Some((digest, text.len() as u64));
        let fetched = Cell::new(0);
        let index = |signed| {
            let fetch = || {
                fetched.set(fetched.get() + 1);
                Ok(plain.clone())
            };
            let all = |text: &mut dyn io::BufRead| {
                let mut out = String::new();
                text.read_to_string(&mut out).map_err(crate::tree::archive_error)?;
                Ok(out)
            };
            fetcher.index("Packages", signed, fetch, &all).unwrap()
        };
        assert!(index(signed) == text && index(signed) == text);
        assert_eq!(fetched.get(), 1);
        let copy = path(&fetcher, &digest);
        let packed = |text: &[u8]| zstd::stream::encode_all(text, 1).unwrap();
        let good = fs_err::read(&copy).unwrap();
        let mut longer = text.clone().into_bytes();
        longer.extend_from_slice(b"Package: evil\n\n");
        for (n, bad) in [
            packed(text.replace("Version: 1", "Version: 2").as_bytes()),
            packed(&longer),
            packed(b""),
            good[..good.len() / 2].to_vec(),
            b"no zstd".to_vec(),
        ]
        .iter()
        .enumerate()
        {
            fs_err::write(&copy, bad).unwrap();
            assert!(index(signed) == text, "{n}");
            assert_eq!(fetched.get(), n + 2, "{n}");
            assert!(index(signed) == text, "{n}");
            assert_eq!(fetched.get(), n + 2, "the copy of {n} was made anew");
        }
        // Without a signed digest, or for a short text, there is none.
        assert!(index(None) == text && index(None) == text);
        assert_eq!(fetched.get(), 8);
        let names = crate::store::names(&dir).unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
        crate::store::delete_tree(&dir).unwrap();
    }
}
