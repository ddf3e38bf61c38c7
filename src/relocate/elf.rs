//! The part of ELF that relocation needs. Source: the System V ABI, generic part, chapters 4 and 5
//! (64-bit, little-endian).

/// `PT_*` and `DT_*` values.
pub mod tag {
    /// A program header that is not used.
    pub const PT_NULL: u32 = 0;
    /// A segment that is loaded.
    pub const PT_LOAD: u32 = 1;
    /// The dynamic section.
    pub const PT_DYNAMIC: u32 = 2;
    /// The path of the loader.
    pub const PT_INTERP: u32 = 3;
    /// Notes of the compiler and the linker.
    pub const PT_NOTE: u32 = 4;
    /// Notes that the loader reads on x86.
    pub const PT_GNU_PROPERTY: u32 = 0x6474_e553;
    /// Flags for a patched kernel, which Go's linker adds.
    pub const PT_PAX_FLAGS: u32 = 0x6504_1580;
    /// The end of the dynamic section.
    pub const DT_NULL: u64 = 0;
    /// A library that must be loaded.
    pub const DT_NEEDED: u64 = 1;
    /// The address of the string table.
    pub const DT_STRTAB: u64 = 5;
    /// The length of the string table in bytes.
    pub const DT_STRSZ: u64 = 10;
    /// The search path that the loader reads before `LD_LIBRARY_PATH`.
    pub const DT_RPATH: u64 = 15;
    /// A place for the address of the loader's data, for debuggers.
    pub const DT_DEBUG: u64 = 21;
    /// The search path that the loader reads after `LD_LIBRARY_PATH`.
    pub const DT_RUNPATH: u64 = 29;
}

/// A view of an ELF file's program headers.
#[derive(Debug)]
pub struct Elf {
    /// `e_machine`.
    pub machine: u16,
    /// `e_entry`.
    pub entry: u64,
    /// `e_phoff`.
    pub table: u64,
    /// The program headers.
    pub segments: Vec<Segment>,
}

/// A program header.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub vaddr: u64,
    /// `p_filesz`.
    pub filesz: u64,
    /// `p_memsz`.
    pub memsz: u64,
}

/// The length of a program header in bytes.
pub const SEGMENT_SIZE: usize = 56;

impl Elf {
    /// Parses the headers at the beginning of a file; the first 4 KiB are enough. Returns `None` if
    /// it is not a 64-bit little-endian ELF file.
    pub fn parse(bytes: &[u8]) -> Option<Elf> {
        if bytes.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let table = u64_at(bytes, 32)?;
        let (size, count) = (u16_at(bytes, 54)?, u16_at(bytes, 56)?);
        if usize::from(size) != SEGMENT_SIZE && count > 0 {
            return None;
        }
        let mut segments = vec![];
        for i in 0..usize::from(count) {
            let at = usize::try_from(table).ok()?.checked_add(i * SEGMENT_SIZE)?;
            // The whole header is there, so what follows cannot overflow.
            bytes.get(at..at.checked_add(SEGMENT_SIZE)?)?;
            segments.push(Segment {
                kind: u32_at(bytes, at)?,
                offset: u64_at(bytes, at + 8)?,
                vaddr: u64_at(bytes, at + 16)?,
                filesz: u64_at(bytes, at + 32)?,
                memsz: u64_at(bytes, at + 40)?,
            });
        }
        Some(Elf { machine: u16_at(bytes, 18)?, entry: u64_at(bytes, 24)?, table, segments })
    }

    /// Returns the first segment of a kind with its index.
    pub fn segment(&self, kind: u32) -> Option<(usize, Segment)> {
        self.segments.iter().copied().enumerate().find(|(_, s)| s.kind == kind)
    }

    /// Whether the kernel would look for a dynamic loader.
    pub fn has_interpreter(&self) -> bool {
        self.segment(tag::PT_INTERP).is_some()
    }

    /// Returns the path in PT_INTERP, if `bytes` contain it.
    pub fn interpreter<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let (_, segment) = self.segment(tag::PT_INTERP)?;
        let start = usize::try_from(segment.offset).ok()?;
        let text = bytes.get(start..start.checked_add(usize::try_from(segment.filesz).ok()?)?)?;
        std::str::from_utf8(text.split(|b| *b == 0).next()?).ok()
    }

    /// Returns the offset in the file of the byte that is loaded at `address`.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let holds = |s: &&Segment| {
            s.kind == tag::PT_LOAD && address >= s.vaddr && address - s.vaddr < s.filesz
        };
        let segment = self.segments.iter().find(holds)?;
        (address - segment.vaddr).checked_add(segment.offset)
    }

    /// Returns the entries of the dynamic section of the whole file `bytes`: the offset in the
    /// file, the tag and the value. All slots are included, even those after the end mark.
    pub fn dynamic(&self, bytes: &[u8]) -> Option<Vec<(usize, u64, u64)>> {
        let (_, segment) = self.segment(tag::PT_DYNAMIC)?;
        let start = usize::try_from(segment.offset).ok()?;
        let count = usize::try_from(segment.filesz).ok()? / 16;
        (0..count)
            .map(|i| {
                let at = start.checked_add(i * 16)?;
                Some((at, u64_at(bytes, at)?, u64_at(bytes, at.checked_add(8)?)?))
            })
            .collect()
    }
}

/// Returns the tags and values of a dynamic section up to its end mark.
pub fn dynamic_entries(section: &[u8]) -> Vec<(u64, u64)> {
    let entries = section.chunks_exact(16).map_while(|e| Some((u64_at(e, 0)?, u64_at(e, 8)?)));
    entries.take_while(|e| e.0 != tag::DT_NULL).collect()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Images of small ELF files for tests.
#[cfg(test)]
pub mod test {
    use super::{SEGMENT_SIZE, tag};

    /// A tag and a value of the dynamic section.
    pub type Entry = (u64, u64);

    /// Returns a shared library for x86_64 with this string table, behind an empty string, and these
    /// entries of the dynamic section.
    pub fn image(strings: &str, entries: &[Entry]) -> Vec<u8> {
        let headers = [tag::PT_NOTE, tag::PT_INTERP, tag::PT_LOAD, tag::PT_DYNAMIC];
        let dynamic_at = 64 + headers.len() * SEGMENT_SIZE;
        let length = (entries.len() + 4) * 16;
        let strings_at = dynamic_at + length;
        let strings = format!("\0{strings}");
        let end = strings_at + strings.len();
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(64, 0);
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &3u16.to_le_bytes());
        put(18, &62u16.to_le_bytes());
        put(20, &1u32.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &64u16.to_le_bytes());
        put(54, &(SEGMENT_SIZE as u16).to_le_bytes());
        put(56, &(headers.len() as u16).to_le_bytes());
        for kind in headers {
            let (offset, size) = match kind {
                tag::PT_DYNAMIC => (dynamic_at, length),
                tag::PT_LOAD => (0, end),
                _ => (strings_at, 1),
            };
            out.extend([kind.to_le_bytes(), 4u32.to_le_bytes()].concat());
            for value in [offset, offset, offset, size, size, 8] {
                out.extend((value as u64).to_le_bytes());
            }
        }
        let own = [(tag::DT_STRTAB, strings_at as u64), (tag::DT_STRSZ, strings.len() as u64)];
        for (tag, value) in own.iter().chain(entries) {
            out.extend([tag.to_le_bytes(), value.to_le_bytes()].concat());
        }
        out.resize(strings_at, 0);
        out.extend(strings.as_bytes());
        out
    }
}
