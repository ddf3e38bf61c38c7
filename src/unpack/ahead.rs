//! Decompression beside the work on its result. One thread decodes, the other takes the bytes.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::compression::{Checks, Compression, by_ending, decoder};
use crate::error::Result;

/// The number of bytes that are passed on at a time, and the number of such pieces that may wait: 1 MiB
/// in all.
const PIECE: usize = 128 << 10;
const PIECES_AHEAD: usize = 8;

/// Decodes a file whose name indicates its compression, and calls `work` with what is in it. The digest of
/// the file must have been verified.
///
/// # Errors
/// Those of `work`, which also meets the errors of the decoder.
pub fn decoded_beside<T>(
    name: &str,
    inner: impl Read + Send,
    work: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<T> {
    let compression = by_ending(name).unwrap_or(Compression::None);
    read_beside(move || Ok(Box::new(decoder(compression, Checks::Trust, inner)?)), work)
}

/// Reads what `open` returns in a thread of its own, and calls `work` with what was read.
///
/// # Errors
/// Those of `work`, which also meets the errors of the reader.
pub fn read_beside<'r, T>(
    open: impl FnOnce() -> io::Result<Box<dyn Read + 'r>> + Send,
    work: impl FnOnce(&mut dyn BufRead) -> Result<T>,
) -> Result<T> {
    std::thread::scope(|scope| {
        let (to, from) = sync_channel(PIECES_AHEAD);
        scope.spawn(move || {
            let read = crate::fault::caught(|| {
                Ok(open().and_then(|mut reader| pass_on(&mut *reader, &to)))
            });
            // If nobody receives it, the other thread has failed and reports the reason.
            let _ = match read {
                Ok(Ok(())) => Ok(()),
                Ok(Err(e)) => to.send(Err(e)),
                Err(fault) => to.send(Err(fault.into())),
            };
        });
        work(&mut Pieces { from, piece: vec![], at: 0 })
    })
}

fn pass_on(reader: &mut dyn Read, to: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        while filled < PIECE {
            match reader.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        piece.truncate(filled);
        if piece.is_empty() || to.send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}

/// The bytes that the other thread has read.
struct Pieces {
    from: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// The number of bytes of the piece that were taken.
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut there = self.fill_buf()?;
        let n = there.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() {
            // At the end, the other thread has let go of the channel.
            self.piece = self.from.recv().unwrap_or_else(|_| Ok(vec![]))?;
            self.at = 0;
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
        let mut out = vec![];
        encoder.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn all_bytes_arrive_and_damage_is_an_error() {
        let bytes: Vec<u8> = (0..3 * PIECE as u32 + 5).map(|n| (n % 251) as u8).collect();
        let all = |reader: &mut dyn BufRead| {
            let mut out = vec![];
            reader.read_to_end(&mut out).map_err(|e| Error::io("read", e))?;
            Ok(out)
        };
        let packed = gzip(&bytes);
        assert_eq!(decoded_beside("x.gz", packed.as_slice(), all).unwrap(), bytes);
        assert_eq!(decoded_beside("x", bytes.as_slice(), all).unwrap(), bytes);
        let cut = &packed[..packed.len() / 2];
        decoded_beside("x.gz", cut, all).unwrap_err();
        // Who needs no more does not wait for the rest.
        let first = |reader: &mut dyn BufRead| Ok(reader.fill_buf().unwrap()[0]);
        assert_eq!(decoded_beside("x.gz", packed.as_slice(), first).unwrap(), 0);
    }
}
