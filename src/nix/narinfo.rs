//! The description of a store path in a binary cache (`<hash>.narinfo`), and its signatures. Source: `NarInfo` in Nix's `libstore/nar-info.cc`, and
//! `ValidPathInfo::fingerprint` in `libstore/path-info.cc`.

use std::fmt;

use super::keys::{CacheKey, CacheSignature, SigningKey};
use super::store_path;
use crate::model::{Digest, StoreName, base32, decimal};

/// The greatest length in bytes of a description that is read. That of the largest known closure has 100 KB.
pub const MOST: u64 = 1 << 20;

/// The greatest number of references or signatures that is read.
const MOST_VALUES: usize = 10_000;

/// What is known of a store path, wherever its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The name of the path.
    pub path: StoreName,
    /// The SHA-256 hash of its NAR.
    pub nar_hash: Digest,
    /// The length of its NAR in bytes.
    pub nar_size: u64,
    /// The paths that it refers to, which may be itself. Sorted.
    pub references: Vec<StoreName>,
    /// The derivation that it was built by.
    pub deriver: Option<StoreName>,
    /// The signatures, in the order of their texts.
    pub signatures: Vec<CacheSignature>,
    /// How the name follows from the content, if it does: `fixed:r:sha256:<hash>`, `text:sha256:<hash>` and the like.
    pub ca: Option<String>,
}

/// The compression of a NAR in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarCompression {
    /// The NAR as it is.
    None,
    /// The .xz file format.
    Xz,
    /// RFC 8878.
    Zstd,
    /// bzip2 1.0. It is meant where a description has no line about it.
    Bzip2,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// The frame format of LZ4.
    Lz4,
}

/// The file of a NAR in a cache. No signature covers what is said of it: only the hash of the NAR counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarFile {
    /// Where it is: an address, or a path below the cache.
    pub url: String,
    /// Its compression.
    pub compression: NarCompression,
    /// The hash of the file.
    pub hash: Option<Digest>,
    /// The length of the file in bytes.
    pub size: Option<u64>,
}

/// The description of a store path in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub info: PathInfo,
    /// The file with its NAR.
    pub file: NarFile,
}

impl NarCompression {
    /// Every compression, with the word for it in a description and the end of a file's name.
    const ALL: [(NarCompression, &'static str, &'static str); 7] = [
        (NarCompression::None, "none", ""),
        (NarCompression::Xz, "xz", ".xz"),
        (NarCompression::Zstd, "zstd", ".zst"),
        (NarCompression::Bzip2, "bzip2", ".bz2"),
        (NarCompression::Gzip, "gzip", ".gz"),
        (NarCompression::Brotli, "br", ".br"),
        (NarCompression::Lz4, "lz4", ".lz4"),
    ];

    fn row(self) -> &'static (NarCompression, &'static str, &'static str) {
        Self::ALL.iter().find(|(c, ..)| *c == self).expect("all are in the table")
    }

    /// Returns the word for it in a description.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Returns the end of the name of a file that has it, such as `.xz`.
    pub fn ending(self) -> &'static str {
        self.row().2
    }

    /// Returns the compression of a word.
    ///
    /// # Errors
    /// A sentence with the words that are known.
    pub fn of_word(word: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, w, _)| *w == word).map(|(c, ..)| *c).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(_, w, _)| *w).collect();
            format!("expected a compression ({}), got {word:?}", known.join(", "))
        })
    }
}

impl fmt::Display for NarCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PathInfo {
    /// Returns the text that signatures of the path cover.
    pub fn fingerprint(&self) -> String {
        let references: Vec<String> = self.references.iter().map(store_path::full).collect();
        format!(
            "1;{};sha256:{};{};{}",
            store_path::full(&self.path),
            self.nar_hash.nix32(),
            self.nar_size,
            references.join(",")
        )
    }

    /// Adds the signature of a key, in place of one of a key of the same name.
    pub fn sign(&mut self, key: &SigningKey) {
        let signature = key.sign(self.fingerprint().as_bytes());
        self.signatures.retain(|known| known.name() != signature.name());
        self.signatures.push(signature);
        self.signatures.sort();
    }

    /// Returns the first of the keys that signed this, and its signature.
    pub fn signer<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k CacheKey>,
    ) -> Option<(&'k CacheKey, &CacheSignature)> {
        let text = self.fingerprint();
        keys.into_iter().find_map(|key| {
            let signature = self.signatures.iter().find(|s| key.verifies(text.as_bytes(), s))?;
            Some((key, signature))
        })
    }

    /// Returns the value of `CA:` for a tree that is named by the hash of its NAR.
    pub fn ca_of_tree(nar_hash: &Digest) -> String {
        format!("fixed:r:sha256:{}", nar_hash.nix32())
    }

    /// Parses a description of a path that has no file.
    ///
    /// # Errors
    /// A sentence that states what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        Fields::read(text)?.info()
    }

    /// Returns the text of a description that has no file.
    pub fn render(&self) -> String {
        format!("StorePath: {}\n{}", store_path::full(&self.path), self.rest())
    }

    fn rest(&self) -> String {
        let references: Vec<&str> = self.references.iter().map(StoreName::as_str).collect();
        let mut out = format!(
            "NarHash: sha256:{}\nNarSize: {}\nReferences: {}\n",
            self.nar_hash.nix32(),
            self.nar_size,
            references.join(" ")
        );
        if let Some(deriver) = &self.deriver {
            out += &format!("Deriver: {deriver}\n");
        }
        for signature in &self.signatures {
            out += &format!("Sig: {signature}\n");
        }
        if let Some(ca) = &self.ca {
            out += &format!("CA: {ca}\n");
        }
        out
    }
}

impl NarInfo {
    /// Parses a description.
    ///
    /// # Errors
    /// A sentence that states what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = Fields::read(text)?;
        let url = fields.url.clone().ok_or("expected a line \"URL: \", got none")?;
        let file = NarFile {
            url,
            compression: fields.compression.unwrap_or(NarCompression::Bzip2),
            hash: fields.file_hash,
            size: fields.file_size,
        };
        Ok(NarInfo { info: fields.info()?, file })
    }

    /// Returns the text of the description.
    pub fn render(&self) -> String {
        let mut out = format!(
            "StorePath: {}\nURL: {}\nCompression: {}\n",
            store_path::full(&self.info.path),
            self.file.url,
            self.file.compression
        );
        if let Some(hash) = &self.file.hash {
            out += &format!("FileHash: sha256:{}\n", hash.nix32());
        }
        if let Some(size) = self.file.size {
            out += &format!("FileSize: {size}\n");
        }
        out + &self.info.rest()
    }
}

/// The lines of a description.
#[derive(Default)]
struct Fields {
    path: Option<StoreName>,
    url: Option<String>,
    compression: Option<NarCompression>,
    file_hash: Option<Digest>,
    file_size: Option<u64>,
    nar_hash: Option<Digest>,
    nar_size: Option<u64>,
    references: Option<Vec<StoreName>>,
    deriver: Option<StoreName>,
    signatures: Vec<CacheSignature>,
    ca: Option<String>,
}

impl Fields {
    /// Reads the lines. Nix ignores unknown keys; of a key that is there twice, Nix takes the last, and this takes none, because nothing honest writes it.
    fn read(text: &str) -> Result<Self, String> {
        let mut out = Fields::default();
        if text.len() as u64 > MOST {
            return Err(format!("expected at most {MOST} bytes, got {}", text.len()));
        }
        let Some(lines) = text.strip_suffix('\n') else {
            return Err("expected a line break at the end, got none: it is cut off".to_owned());
        };
        for line in lines.split('\n') {
            let (key, value) = line
                .split_once(": ")
                .or_else(|| line.strip_suffix(':').map(|key| (key, "")))
                .ok_or_else(|| format!("expected a line such as \"NarSize: 1\", got {line:?}"))?;
            out.take(key, value).map_err(|e| format!("{key}: {e}"))?;
        }
        Ok(out)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "StorePath" => once(&mut self.path, store_path::parse(value)?),
            "URL" => once(&mut self.url, printable(value)?),
            // Nix takes an empty value as it takes none.
            "Compression" if value.is_empty() => Ok(()),
            "Compression" => once(&mut self.compression, NarCompression::of_word(value)?),
            "FileHash" => once(&mut self.file_hash, hash(value)?),
            "FileSize" => once(&mut self.file_size, number(value)?),
            "NarHash" => once(&mut self.nar_hash, hash(value)?),
            "NarSize" => once(&mut self.nar_size, number(value)?),
            "References" => {
                let names: Result<Vec<StoreName>, String> =
                    value.split(' ').filter(|name| !name.is_empty()).map(str::parse).collect();
                let mut names = names?;
                names.sort();
                names.dedup();
                few(names.len())?;
                once(&mut self.references, names)
            }
            "Deriver" if value == "unknown-deriver" => Ok(()),
            "Deriver" => once(&mut self.deriver, value.parse()?),
            "Sig" => {
                self.signatures.push(value.parse()?);
                few(self.signatures.len())
            }
            "CA" if value.is_empty() => Ok(()),
            "CA" => once(&mut self.ca, printable(value)?),
            _ => Ok(()),
        }
    }

    fn info(mut self) -> Result<PathInfo, String> {
        let missing = |key: &str| format!("expected a line \"{key}: \", got none");
        self.signatures.sort();
        self.signatures.dedup();
        let nar_size = self.nar_size.ok_or_else(|| missing("NarSize"))?;
        if nar_size == 0 {
            return Err("NarSize: expected at least one byte, got 0".to_owned());
        }
        Ok(PathInfo {
            path: self.path.ok_or_else(|| missing("StorePath"))?,
            nar_hash: self.nar_hash.ok_or_else(|| missing("NarHash"))?,
            nar_size,
            references: self.references.unwrap_or_default(),
            deriver: self.deriver,
            signatures: self.signatures,
            ca: self.ca,
        })
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), String> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err("it is there twice".to_owned()),
    }
}

fn few(number: usize) -> Result<(), String> {
    if number > MOST_VALUES {
        return Err(format!("expected at most {MOST_VALUES} values"));
    }
    Ok(())
}

fn number(value: &str) -> Result<u64, String> {
    decimal(value).ok_or_else(|| format!("expected a number, got {value:?}"))
}

fn printable(value: &str) -> Result<String, String> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("expected printable characters, got {value:?}"));
    }
    Ok(value.to_owned())
}

/// Parses a hash in each form that Nix takes: `sha256:` and base 32, base 16 or base 64, or `sha256-` and base 64.
///
/// # Errors
/// A sentence that states what was expected.
pub fn hash(value: &str) -> Result<Digest, String> {
    let bad = || format!("expected a hash such as sha256:<52 characters>, got {value:?}");
    let Some(rest) = value.strip_prefix("sha256:") else {
        return Digest::from_sri(value).map_err(|_| bad());
    };
    match rest.len() {
        52 => base32::decode(rest).map(Digest::from).ok_or_else(bad),
        44 => Digest::from_sri(&format!("sha256-{rest}")).map_err(|_| bad()),
        64 => rest.parse().map_err(|_| bad()),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `nix copy` of Nix 2.8, with the key below.
    const OF_NIX: &str = "StorePath: /nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d
URL: nar/0kxc0qm0yaqwmf8khibjnbj3945lnf20ws56yjvcvp632800xvva.nar.zst
Compression: zstd
FileHash: sha256:0kxc0qm0yaqwmf8khibjnbj3945lnf20ws56yjvcvp632800xvva
FileSize: 228
NarHash: sha256:19x7gnymyfbf4xvw9bw01rya22sd15i3s0wc48h50w7nw6wsasd7
NarSize: 880
References: 
Sig: test-1:Xc4xwRhmQdCBgD8+CjdEOBYmyW+vnV/YknYrQc3yj4qtWZDtSJ2/Wq8Ro/FudEP9mI7lzo9N8T2k+lmchOV3Cw==
CA: fixed:r:sha256:19x7gnymyfbf4xvw9bw01rya22sd15i3s0wc48h50w7nw6wsasd7
";
    const KEY: &str = "test-1:3D5dId+ffUWy7Wt2UlM6xOPSD+OE4r1TZml5gzP+uCE=";
    const SECRET: &str = "test-1:RVQKcY8IDXSZScvJgVMG0qy7hZ1cKO/DcdwbDabTcLHcPl0h3599RbLta3ZSUzrE49IP44TivVNmaXmDM/64IQ==";

    #[test]
    fn what_nix_wrote_is_read_checked_and_written() {
        let parsed = NarInfo::parse(OF_NIX).unwrap();
        assert_eq!(parsed.render(), OF_NIX);
        let info = &parsed.info;
        assert_eq!(PathInfo::parse(&info.render()).as_ref(), Ok(info));
        let key: CacheKey = KEY.parse().unwrap();
        assert_eq!(info.signer([&key]).unwrap().0, &key);
        assert_eq!(info.ca, Some(PathInfo::ca_of_tree(&info.nar_hash)));
        // Ed25519 is deterministic, so our signature is that of Nix.
        let mut unsigned = parsed.clone();
        unsigned.info.signatures.clear();
        assert!(unsigned.info.signer([&key]).is_none());
        unsigned.info.sign(&SECRET.parse().unwrap());
        assert_eq!(unsigned, parsed);
        unsigned.info.nar_size += 1;
        assert!(unsigned.info.signer([&key]).is_none());
    }

    #[test]
    fn the_fingerprint_has_sorted_full_paths() {
        let with = OF_NIX.replace(
            "References: ",
            "References: lk24g145slqydml3sah9dwk10d35c7pa-ref kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d",
        );
        assert_eq!(
            NarInfo::parse(&with).unwrap().info.fingerprint(),
            "1;/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d;sha256:19x7gnymyfbf4xvw9bw01rya22sd15i3s0wc48h50w7nw6wsasd7;880;/nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d,/nix/store/lk24g145slqydml3sah9dwk10d35c7pa-ref"
        );
    }

    #[test]
    fn other_forms_of_hashes_are_read() {
        let digest = NarInfo::parse(OF_NIX).unwrap().info.nar_hash;
        let sri = digest.sri();
        for form in [&sri, &sri.replacen('-', ":", 1), &format!("sha256:{digest}")] {
            assert_eq!(hash(form), Ok(digest), "{form}");
        }
        for bad in ["", "sha256:", "sha1:abc", "md5:x", "sha256:e", &sri[..40]] {
            assert!(hash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_has_the_meaning_that_nix_gives_it() {
        let plain = |line: &str| {
            let kept = OF_NIX.lines().filter(|l| !l.starts_with(line));
            kept.map(|l| format!("{l}\n")).collect::<String>()
        };
        let info = NarInfo::parse(&plain("Compression")).unwrap();
        assert_eq!(info.file.compression, NarCompression::Bzip2);
        assert!(NarInfo::parse(&plain("FileHash")).unwrap().file.hash.is_none());
        assert!(NarInfo::parse(&plain("References")).unwrap().info.references.is_empty());
        let deriver = OF_NIX.replace("Sig:", "Deriver: unknown-deriver\nNew: x\nSig:");
        assert_eq!(NarInfo::parse(&deriver).unwrap().render(), OF_NIX);
        for needed in ["StorePath", "URL", "NarHash", "NarSize"] {
            let error = NarInfo::parse(&plain(needed)).unwrap_err();
            assert!(error.contains(needed), "{error}");
        }
    }

    #[test]
    fn hostile_descriptions_are_refused() {
        for (from, to, words) in [
            ("/nix/store/kzm", "/gnu/store/kzm", "/nix/store"),
            ("/nix/store/kzm", "/nix/store/../kzm", "store name"),
            ("zstd\n", "rar\n", "\"rar\""),
            ("NarSize: 880", "NarSize: 0", "at least one byte"),
            ("NarSize: 880", "NarSize: -1", "a number"),
            ("NarSize: 880", "NarSize: 99999999999999999999", "a number"),
            ("NarSize: 880", "NarSize: 880\nNarSize: 881", "twice"),
            ("References: ", "References: ../x", "store name"),
            ("Sig: test-1:", "Sig: ", "a signature"),
            ("URL: nar/", "URL: \u{1b}nar/", "printable"),
            ("Compression", "Compression\nx", "a line such as"),
        ] {
            let text = OF_NIX.replacen(from, to, 1);
            assert_ne!(text, OF_NIX);
            let error = NarInfo::parse(&text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(NarInfo::parse(&OF_NIX[..OF_NIX.len() - 1]).unwrap_err().contains("cut off"));
        assert!(NarInfo::parse("").is_err());
    }
}
