//! What the loader and the kernel see of an ELF file: which parts are loaded, and what the file
//! needs. Source: the System V ABI, generic part, chapters 4 and 5.

use std::ops::Range;

use memchr::memmem;

use super::elf::{Elf, SEGMENT_SIZE, Segment, tag};

const ET_REL: u16 = 1;
const PF_X: u8 = 1;
const DT_NEEDED: u64 = 1;
const DT_STRSZ: u64 = 10;
/// Every program of Go begins its build information with this.
const GO_BUILD_INFORMATION: &[u8] = b"\xff Go buildinf:";

/// An ELF file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Whether the kernel would look for a dynamic loader.
    pub is_dynamic_program: bool,
    /// Whether it has a dynamic section, as libraries and dynamically linked programs have.
    pub has_dynamic_section: bool,
    /// Whether it was made by the compiler of Go, whose programs make system calls themselves.
    pub is_go: bool,
    /// The names of the libraries that it needs.
    pub needed: Vec<String>,
    /// The parts of the file that are loaded, each with whether it contains instructions.
    pub ranges: Vec<(Range<usize>, bool)>,
    /// The places of the texts that only the loader and the kernel read: the path of the loader,
    /// and the names of symbols and libraries with the search paths for libraries.
    pub reserved: Vec<Range<usize>>,
}

impl Loaded {
    /// Parses a whole file. Returns `None` for objects for the linker, and for everything that is
    /// not a 64-bit little-endian ELF file.
    pub fn parse(bytes: &[u8]) -> Option<Loaded> {
        let elf = Elf::parse(bytes)?;
        let kind = u16::from_le_bytes(bytes.get(16..18)?.try_into().ok()?);
        if kind == ET_REL {
            return None;
        }
        let place = |s: &Segment| {
            let start = usize::try_from(s.offset).ok()?.min(bytes.len());
            let end = start.saturating_add(usize::try_from(s.filesz).ok()?).min(bytes.len());
            Some(start..end)
        };
        let of_kind = |kind| elf.segments.iter().enumerate().filter(move |(_, s)| s.kind == kind);
        let loads: Vec<&Segment> = of_kind(tag::PT_LOAD).map(|(_, s)| s).collect();
        // The flags follow the kind in a program header.
        let is_code = |index: usize| {
            let at = usize::try_from(elf.table).ok()? + index * SEGMENT_SIZE + 4;
            Some(bytes.get(at)? & PF_X != 0)
        };
        let mut reserved: Vec<Range<usize>> =
            of_kind(tag::PT_INTERP).filter_map(|(_, s)| place(s)).collect();
        let dynamic = elf.dynamic(bytes).unwrap_or_default();
        let offset_of = |address: u64| {
            let segment =
                loads.iter().find(|s| address >= s.vaddr && address - s.vaddr < s.filesz)?;
            usize::try_from((address - segment.vaddr).checked_add(segment.offset)?).ok()
        };
        let strings = dynamic.iter().find(|d| d.1 == tag::DT_STRTAB).map(|d| d.2);
        let text_at = |index: u64| {
            let start = offset_of(strings?.checked_add(index)?)?;
            let length = bytes.get(start..)?.iter().position(|b| *b == 0)?;
            Some(start..start + length)
        };
        let mut needed = vec![];
        for (_, tag, value) in dynamic.iter().take_while(|d| d.1 != tag::DT_NULL) {
            match *tag {
                DT_NEEDED => {
                    let name =
                        text_at(*value).map(|r| String::from_utf8_lossy(&bytes[r]).into_owned());
                    needed.extend(name);
                }
                DT_STRSZ => {
                    let start = strings.and_then(offset_of);
                    let size = usize::try_from(*value).unwrap_or_default();
                    reserved.extend(start.map(|start| start..start.saturating_add(size)));
                }
                _ => {}
            }
        }
        Some(Loaded {
            is_dynamic_program: elf.has_interpreter(),
            has_dynamic_section: !dynamic.is_empty(),
            is_go: memmem::find(bytes, GO_BUILD_INFORMATION).is_some(),
            needed,
            ranges: of_kind(tag::PT_LOAD)
                .filter_map(|(i, s)| Some((place(s)?, is_code(i)?)))
                .collect(),
            reserved,
        })
    }
}
