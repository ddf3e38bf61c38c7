//! The dynamic section of a program or a shared library: the libraries that it needs, and the
//! directories in which it searches for them. Only the parts of the file that matter are read.

use super::elf::{Elf, tag};
use crate::error::Result;
use crate::model::{MemberPath, Platform};
use crate::tree::Blob;

/// The largest string table that is read, in bytes. That of LLVM's library has 15 MB.
const LARGEST: u64 = 256 << 20;

/// What the loader reads from a dynamic section.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// The names of the needed libraries (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// The directories that are searched: those of `DT_RUNPATH`, or otherwise those of `DT_RPATH`.
    pub search: Vec<Directory>,
    /// Whether the directories are those of `DT_RUNPATH`. The loader then ignores the search paths of
    /// the program that loads the library.
    pub runpath: bool,
    /// Whether the string table contains `iconv_open`: the file may convert between character sets.
    pub converts: bool,
    /// Whether the string table contains `dlopen`: the file may load others that it does not name.
    pub loads: bool,
}

/// An entry of a search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// A path relative to the directory of the file: `$ORIGIN` or `$ORIGIN/<path>`.
    Origin(String),
    /// An absolute path.
    Fixed(String),
    /// Anything else, which the loader would look up in its working directory.
    Other(String),
}

impl Directory {
    /// Parses an entry of a search path.
    pub fn parse(text: &str) -> Directory {
        for origin in ["$ORIGIN", "${ORIGIN}"] {
            if let Some(rest) = text.strip_prefix(origin)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return Directory::Origin(rest.trim_start_matches('/').to_owned());
            }
        }
        match text.starts_with('/') {
            true => Directory::Fixed(text.to_owned()),
            false => Directory::Other(text.to_owned()),
        }
    }

    /// Returns the text of an entry that is relative to the directory of the file.
    pub fn relative(&self) -> Option<String> {
        match self {
            Directory::Origin(rest) if rest.is_empty() => Some("$ORIGIN".to_owned()),
            Directory::Origin(rest) => Some(format!("$ORIGIN/{rest}")),
            Directory::Fixed(_) | Directory::Other(_) => None,
        }
    }

    /// Returns the directory in the tree for an entry of the file at `file`. Absolute paths count as
    /// paths below the root of the tree.
    pub fn within(&self, file: &MemberPath) -> Option<MemberPath> {
        match self {
            Directory::Origin(rest) if rest.is_empty() => file.parent(),
            Directory::Origin(rest) => file.resolve_link(rest),
            Directory::Fixed(path) => Some(super::symlinks::usrmerged(&file.resolve_link(path)?)),
            Directory::Other(_) => None,
        }
    }
}

/// Returns a part of a file by its offset and its length, or `None` if the file ends before.
type Parts<'a> = &'a dyn Fn(u64, u64) -> Result<Option<Vec<u8>>>;

impl Dynamic {
    /// Reads the dynamic section of a staged file. Returns `None` if it is no program or library for
    /// `platform` that is linked dynamically, or if it is damaged.
    ///
    /// # Errors
    /// If the staged file cannot be read.
    pub fn of(blob: &Blob, platform: Platform) -> Result<Option<Dynamic>> {
        if !blob.head(4)?.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        match Elf::parse(&blob.head(4096)?) {
            Some(elf) if elf.machine == platform.elf_machine() => {
                Self::read(&elf, &|offset, length| blob.part(offset, length))
            }
            _ => Ok(None),
        }
    }

    /// Reads the dynamic section of the whole file `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Option<Dynamic> {
        let part = |offset: u64, length: u64| -> Option<Vec<u8>> {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            bytes.get(start..end).map(<[u8]>::to_vec)
        };
        Self::read(&Elf::parse(bytes)?, &|offset, length| Ok(part(offset, length))).ok().flatten()
    }

    fn read(elf: &Elf, part: Parts<'_>) -> Result<Option<Dynamic>> {
        let Some((_, segment)) = elf.segment(tag::PT_DYNAMIC) else { return Ok(None) };
        if segment.filesz > LARGEST {
            return Ok(None);
        }
        let Some(section) = part(segment.offset, segment.filesz)? else { return Ok(None) };
        let entries = super::elf::dynamic_entries(&section);
        let value = |tag| entries.iter().find(|e| e.0 == tag).map(|e| e.1);
        let (Some(address), Some(size)) = (value(tag::DT_STRTAB), value(tag::DT_STRSZ)) else {
            return Ok(None);
        };
        let Some(offset) = elf.file_offset(address).filter(|_| size <= LARGEST) else {
            return Ok(None);
        };
        let Some(strings) = part(offset, size)? else { return Ok(None) };
        let text = |at: u64| {
            let rest = strings.get(usize::try_from(at).ok()?..)?;
            Some(String::from_utf8_lossy(rest.split(|b| *b == 0).next()?).into_owned())
        };
        let needed = entries.iter().filter(|e| e.0 == tag::DT_NEEDED);
        let needed = needed.filter_map(|e| text(e.1)).collect();
        let path = value(tag::DT_RUNPATH).or_else(|| value(tag::DT_RPATH)).and_then(text);
        let search = path.iter().flat_map(|p| p.split(':')).map(Directory::parse).collect();
        // Linkers store a string that is the end of another only once, so only the ends count.
        let names = |symbol: &[u8]| memchr::memmem::find(&strings, symbol).is_some();
        Ok(Some(Dynamic {
            needed,
            search,
            runpath: value(tag::DT_RUNPATH).is_some(),
            converts: names(b"iconv_open\0"),
            loads: names(b"dlopen\0"),
        }))
    }
}
