//! Compressed streams.

use std::io::{self, BufReader, Read};

use lz4_flex::frame::FrameDecoder;

use crate::error::{Cause, Error};

/// The maximum memory of one xz decoder in bytes. The largest preset (-9) needs 65 MiB.
const XZ_MEMORY: u64 = 100 << 20;

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
/// # Errors
/// Those of the reader.
pub fn sniffed_nar<'a>(mut inner: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(NAR.len());
    (&mut inner).take(NAR.len() as u64).read_to_end(&mut head)?;
    let kind = match Compression::sniff(&head) {
        Compression::None if head != NAR => Compression::Brotli,
        kind => kind,
    };
    decoder(kind, Checks::Trust, io::Cursor::new(head).chain(inner))
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
