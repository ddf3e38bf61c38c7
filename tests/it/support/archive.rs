//! Valid and hostile archives, which are made byte by byte.

use std::io::Write;

/// Returns a tar header and its content, without the checks of a library.
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn new() -> Self {
        Tar(vec![])
    }

    pub fn raw(
        mut self,
        name: &str,
        kind: u8,
        mode: u32,
        link: &str,
        content: &[u8],
        declared: u64,
    ) -> Self {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{declared:011o}\0").as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        let pad = (512 - content.len() % 512) % 512;
        self.0.extend(std::iter::repeat_n(0, pad));
        self
    }

    pub fn file(self, name: &str, content: &[u8]) -> Self {
        self.raw(name, b'0', 0o644, "", content, content.len() as u64)
    }

    pub fn program(self, name: &str, content: &[u8]) -> Self {
        self.raw(name, b'0', 0o755, "", content, content.len() as u64)
    }

    pub fn dir(self, name: &str) -> Self {
        self.raw(name, b'5', 0o755, "", b"", 0)
    }

    pub fn symlink(self, name: &str, to: &str) -> Self {
        self.raw(name, b'2', 0o777, to, b"", 0)
    }

    pub fn hard_link(self, name: &str, to: &str) -> Self {
        self.raw(name, b'1', 0o644, to, b"", 0)
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(vec![], 0);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Returns a zip file with stored members, each with its name, its Unix mode, its content and its declared size.
pub fn zip(members: &[(&str, u32, &[u8], u32)]) -> Vec<u8> {
    let mut out = vec![];
    let mut central = vec![];
    for (name, mode, content, declared) in members {
        let offset = out.len() as u32;
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut common = vec![];
        common.extend(20u16.to_le_bytes());
        common.extend([0; 2]); // flags
        common.extend([0; 2]); // stored
        common.extend([0, 0, 0x21, 0]); // 1980-01-01
        common.extend(crc.sum().to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend(declared.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*content);
        central.extend(b"PK\x01\x02");
        central.extend([20, 3]); // made by Unix
        central.extend(&common);
        central.extend([0; 6]);
        central.extend((mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&central);
    out.extend(b"PK\x05\x06");
    out.extend([0; 4]);
    for _ in 0..2 {
        out.extend((members.len() as u16).to_le_bytes());
    }
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    out
}
