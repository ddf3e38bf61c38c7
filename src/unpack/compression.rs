//! Compressed streams.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use lz4_flex::frame::FrameDecoder;

use crate::error::{Cause, Error};

/// The maximum memory of one xz decoder in bytes. The largest preset (-9) needs 65 MiB.
const XZ_MEMORY: u64 = 100 << 20;

/// The number of bytes that a decoder may read before it gives any: a block of LZ4 has up to 4 MiB, and
/// the decoders read ahead.
const AHEAD: u64 = 5 << 20;

/// The compression of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    None,
    /// RFC 1952.
    Gzip,
    /// The .xz file format, version 1.2.
    Xz,
    /// RFC 8878.
    Zstd,
    /// bzip2 1.0.
    Bzip2,
    /// The LZ4 frame format, version 1.6.
    Lz4,
    /// RFC 7932. Its streams have no mark by which they could be recognised.
    Brotli,
}

impl Compression {
    /// Recognises the compression of a stream from its first bytes (six are enough).
    pub fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', ..] => Compression::Bzip2,
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
            _ => Compression::None,
        }
    }
}

/// Whether a decoder verifies the checksums that a stream contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// They are verified.
    Compute,
    /// They are not verified where that is expensive and can be omitted (xz), because the
    /// compressed bytes are verified by a signed digest.
    Trust,
}

/// Returns a reader of the uncompressed bytes. Concatenated members are read to the end.
///
/// # Errors
/// If the decoder cannot be set up.
pub fn decoder<'a>(
    compression: Compression,
    checks: Checks,
    inner: impl Read + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(inner),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(inner)),
        Compression::Xz => {
            let flags = match checks {
                Checks::Compute => liblzma::stream::CONCATENATED,
                Checks::Trust => liblzma::stream::CONCATENATED | liblzma::stream::IGNORE_CHECK,
            };
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, flags)
                .map_err(io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(
                BufReader::with_capacity(super::BUFFER, inner),
                stream,
            ))
        }
        Compression::Zstd => {
            let mut zstd = zstd::stream::read::Decoder::new(inner)?;
            // 128 MiB is the window of `zstd --long=27`, the largest that plain zstd decodes
            // without an option.
            zstd.window_log_max(27)?;
            Box::new(zstd)
        }
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(inner)),
        Compression::Lz4 => Box::new(Frames { decoder: FrameDecoder::new(inner), began: false }),
        Compression::Brotli => {
            Box::new(brotli_decompressor::Decompressor::new(inner, super::BUFFER))
        }
    })
}

/// Reads enough of `inner` to recognise its compression, and returns the decoder.
///
/// # Errors
/// Those of the reader.
pub fn sniffed<'a>(mut inner: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(6);
    (&mut inner).take(6).read_to_end(&mut head)?;
    let kind = Compression::sniff(&head);
    decoder(kind, Checks::Compute, io::Cursor::new(head).chain(inner))
}

/// The bytes with which every NAR begins: a length, and the first bytes of a word.
const NAR: &[u8] = b"\x0d\0\0\0\0\0\0\0nix";

/// Like [`sniffed`], for a NAR. What is neither a NAR nor of a compression that can be recognised is
/// taken for brotli. So what a cache says of the compression does not matter.
///
/// Every format has parts that unfold to nothing, such as empty members, frames that are skipped and
/// padding. The length of the output is known, so only those could make a stream endless: a stream
/// that is more than twice as long as what it unfolds to is refused.
///
/// # Errors
/// Those of the reader.
pub fn sniffed_nar<'a>(mut inner: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(NAR.len());
    (&mut inner).take(NAR.len() as u64).read_to_end(&mut head)?;
    let kind = match Compression::sniff(&head) {
        Compression::None if head != NAR => Compression::Brotli,
        kind => kind,
    };
    let all = io::Cursor::new(head).chain(inner);
    if kind == Compression::None {
        return decoder(kind, Checks::Trust, all);
    }
    let given = Rc::new(Cell::new(0));
    let fed = Fed { inner: all, taken: 0, given: given.clone() };
    Ok(Box::new(Giving { inner: decoder(kind, Checks::Trust, fed)?, given }))
}

/// The compressed bytes. It fails when they are too many for what they have given.
struct Fed<R> {
    inner: R,
    taken: u64,
    given: Rc<Cell<u64>>,
}

impl<R: Read> Read for Fed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.taken += n as u64;
        let given = self.given.get();
        if self.taken > given.saturating_mul(2).saturating_add(AHEAD) {
            let error = Error::verification(format!(
                "{} bytes unfold to only {given}: refused as endless",
                self.taken
            ));
            return Err(error.with_cause(Cause::HostileArchive).into());
        }
        Ok(n)
    }
}

/// Counts the bytes that a decoder gives.
struct Giving<R> {
    inner: R,
    given: Rc<Cell<u64>>,
}

impl<R: Read> Read for Giving<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.given.set(self.given.get() + n as u64);
        Ok(n)
    }
}

/// Reads LZ4 frames to the end. The decoder stops after each of them.
struct Frames<R: Read> {
    decoder: FrameDecoder<R>,
    /// Whether the present frame has given any bytes.
    began: bool,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.decoder.read(buf)?;
            // An empty frame, or the end of the input, in which no frame begins.
            if n > 0 || buf.is_empty() || !self.began {
                self.began |= n > 0;
                return Ok(n);
            }
            self.began = false;
        }
    }
}

/// Returns the compression that the extension of a member's name indicates, as in Debian's
/// `data.tar.xz`.
pub fn by_ending(name: &str) -> Result<Compression, Error> {
    Ok(match name.rsplit('.').next().unwrap_or("") {
        "tar" => Compression::None,
        "gz" => Compression::Gzip,
        "xz" => Compression::Xz,
        "zst" => Compression::Zstd,
        "bz2" => Compression::Bzip2,
        other => {
            return Err(Error::verification(format!(
                "expected a member compressed with gz, xz, zst or bz2, got .{other}"
            ))
            .with_cause(Cause::DamagedArchive));
        }
    })
}

/// Returns a decoder for a file whose name indicates its compression. A name without a known
/// extension means an uncompressed file.
///
/// # Errors
/// If the decoder cannot be set up.
pub fn decoder_for<'a>(name: &str, inner: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let compression = by_ending(name).unwrap_or(Compression::None);
    decoder(compression, Checks::Compute, inner).map_err(crate::tree::archive_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Gives the same bytes for ever.
    struct Endless {
        unit: Vec<u8>,
        at: usize,
    }

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = (&self.unit[self.at..]).read(buf)?;
            self.at = (self.at + n) % self.unit.len();
            Ok(n)
        }
    }

    #[test]
    fn a_stream_that_goes_on_without_giving_anything_is_refused() {
        let gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        let bzip2 = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
        let xz = liblzma::write::XzEncoder::new(vec![], 0).finish().unwrap();
        let zstd = zstd::encode_all(&b""[..], 1).unwrap();
        let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &4000_u32.to_le_bytes(), &[0; 4000]];
        for (name, first, unit) in [
            ("gzip", vec![], gzip.finish().unwrap()),
            ("bzip2", vec![], bzip2.finish().unwrap()),
            ("xz", vec![], xz.clone()),
            ("padding of xz", xz, vec![0; 4000]),
            ("zstd", vec![], zstd.clone()),
            ("skipped of zstd", zstd, skipped.concat()),
        ] {
            let stream = io::Cursor::new(first).chain(Endless { unit, at: 0 });
            let error = sniffed_nar(stream).and_then(|mut r| r.read(&mut [0; 9])).unwrap_err();
            assert!(error.to_string().contains("refused as endless"), "{name}: {error}");
        }
    }

    #[test]
    fn noise_and_large_blocks_are_no_endless_streams() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()
        })
        .take(3 << 19)
        .flatten()
        .collect();
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        gzip.write_all(&noise).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::best());
        bzip2.write_all(&noise).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(vec![], 1);
        xz.write_all(&noise).unwrap();
        let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max4MB);
        let mut lz4 = lz4_flex::frame::FrameEncoder::with_frame_info(info, vec![]);
        lz4.write_all(&noise).unwrap();
        for (name, packed) in [
            ("gzip", gzip.finish().unwrap()),
            ("bzip2", bzip2.finish().unwrap()),
            ("xz", xz.finish().unwrap()),
            ("lz4", lz4.finish().unwrap()),
            ("zstd", zstd::encode_all(noise.as_slice(), 1).unwrap()),
        ] {
            assert!(packed.len() >= noise.len(), "{name}");
            let mut out = vec![];
            sniffed_nar(packed.as_slice()).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == noise, "{name}");
        }
    }
}
