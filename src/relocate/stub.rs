//! In-place stubs: the program itself maps the loader of its tree, so that `/proc/self/exe` still
//! refers to the program. The comment at the beginning of `launcher/stub.c` describes what the stub
//! does. This module is the counterpart that adds the stub to an executable as a segment.

use super::dynamic::{Directory, Dynamic};
use super::elf::{Elf, SEGMENT_SIZE, tag};
use super::launcher::{HOST_VARIABLES, Instructions, REDIRECTION, Runtime};
use crate::error::{Error, Result};
use crate::model::{MemberPath, Platform};

const X86_64: &[u8] = include_bytes!("../../launcher/stub-x86_64");
const AARCH64: &[u8] = include_bytes!("../../launcher/stub-aarch64");
const MAGIC: &[u8] = b"cotter-stub-001\0";
const CONFIG: usize = 2048;
/// The length of the numbers that precede the strings in the configuration, in bytes.
const NUMBERS: usize = 24;
/// The largest page size of the platforms, in bytes. The new segment is aligned to it.
const PAGE: u64 = 65536;

/// Gives the dynamically linked executable `bytes`, which is located at `at`, the stub as its entry
/// point, and an RPATH relative to itself: the directories of its own search path, and then those of
/// the tree. The variables of `instructions` apply to the program; arguments cannot be added. A
/// redirected program needs the library that redirects it, if its dynamic section has room for this.
///
/// A header that can be spared becomes the PT_LOAD header of the stub. PT_INTERP is hidden from the
/// kernel and restored in memory. The text of the DT_RPATH is in the segment of the stub; this is
/// possible because the offset from the string table may reach that far.
///
/// # Errors
/// If the executable has no room for it.
pub fn embed(
    bytes: &[u8],
    at: &MemberPath,
    runtime: &Runtime,
    instructions: &Instructions,
) -> Result<Vec<u8>> {
    let no = |why: &str| {
        Error::build(format!("{at} can't take the in-place stub: {why}"))
            .hint("take it out of `self_exe`: it gets a launcher then")
    };
    let elf = Elf::parse(bytes).ok_or_else(|| no("it is no ELF file"))?;
    elf.segment(tag::PT_INTERP).ok_or_else(|| no("it has no interpreter"))?;
    let dynamic = elf.dynamic(bytes).ok_or_else(|| no("its dynamic section is damaged"))?;
    let strtab = dynamic
        .iter()
        .find(|d| d.1 == tag::DT_STRTAB)
        .ok_or_else(|| no("it has no string table"))?
        .2;

    let mut blob = match runtime.platform {
        Platform::X86_64Linux => X86_64,
        Platform::Aarch64Linux => AARCH64,
    }
    .to_vec();
    let config = blob
        .windows(MAGIC.len())
        .position(|w| w == MAGIC)
        .expect("the committed stub has its magic")
        + MAGIC.len();
    let rpath_at = blob.len() as u64;
    let up = at.depth() - 1;
    let origin = "../".repeat(up);
    let own = Dynamic::of_bytes(bytes).unwrap_or_default();
    let mut rpath: Vec<String> = own.search.iter().filter_map(Directory::relative).collect();
    rpath.extend(runtime.library_dirs.iter().map(|d| format!("$ORIGIN/{origin}{d}")));
    blob.extend_from_slice(rpath.join(":").as_bytes());
    blob.push(0);
    let mut preload_at = None;
    if instructions.redirect {
        preload_at = Some(blob.len() as u64);
        let library = at.link_to(&MemberPath::literal(REDIRECTION));
        blob.extend_from_slice(format!("$ORIGIN/{library}\0").as_bytes());
    }

    let loads = elf.segments.iter().filter(|s| s.kind == tag::PT_LOAD);
    let ends: Option<Vec<u64>> = loads.map(|s| s.vaddr.checked_add(s.memsz)).collect();
    let top = ends.ok_or_else(|| no("the addresses of its segments are damaged"))?;
    let top = top.into_iter().max().ok_or_else(|| no("it has no segment"))?;
    let size = blob.len() as u64;
    let vaddr = top
        .checked_next_multiple_of(PAGE)
        .filter(|vaddr| vaddr.checked_add(size).is_some())
        .ok_or_else(|| no("its segments leave no address for a further one"))?;
    let offset = (bytes.len() as u64).next_multiple_of(PAGE);

    let mut out = bytes.to_vec();
    let headers = Headers { elf: &elf, load: [offset, vaddr, vaddr, size, size, PAGE] };
    let interp = headers.write(&mut out).ok_or_else(|| no("it has no header to give up"))?;
    let strings = strings(runtime, instructions);
    if strings.len() >= CONFIG - MAGIC.len() - NUMBERS {
        return Err(no("its instructions are too long"));
    }
    blob[config..config + 8].copy_from_slice(&vaddr.to_le_bytes());
    blob[config + 8..config + 16].copy_from_slice(&elf.entry.to_le_bytes());
    blob[config + 16..config + 20].copy_from_slice(&(interp as u32).to_le_bytes());
    blob[config + 20..config + 24].copy_from_slice(&(up as u32).to_le_bytes());
    blob[config + NUMBERS..config + NUMBERS + strings.len()].copy_from_slice(&strings);

    out.resize(usize::try_from(offset).expect("files fit in memory"), 0);
    out.extend_from_slice(&blob);
    // e_entry
    out[24..32].copy_from_slice(&vaddr.to_le_bytes());
    let text = |at: u64| (vaddr + at).wrapping_sub(strtab);
    let section = dynamic_section(&dynamic, text(rpath_at), preload_at.map(text))
        .ok_or_else(|| no("its dynamic section is full"))?;
    for ((slot, ..), (tag, value)) in dynamic.iter().zip(section) {
        out[*slot..slot + 8].copy_from_slice(&tag.to_le_bytes());
        out[slot + 8..slot + 16].copy_from_slice(&value.to_le_bytes());
    }
    Ok(out)
}

/// Returns the strings of the stub's configuration.
fn strings(runtime: &Runtime, instructions: &Instructions) -> Vec<u8> {
    let mut strings = vec![runtime.loader.to_string()];
    let mut add = |letter: char, text: &str| strings.push(format!("{letter}{text}"));
    HOST_VARIABLES.iter().for_each(|v| add('d', v));
    instructions.drop.iter().for_each(|v| add('d', v));
    let own = [runtime.locales_variable(), runtime.gconv_variable()];
    own.iter().flatten().for_each(|v| add('e', v));
    instructions.set.iter().for_each(|v| add('e', v));
    instructions.default.iter().for_each(|v| add('E', v));
    strings.iter().flat_map(|s| s.bytes().chain([0])).collect()
}

/// Returns the entries of a dynamic section with the search path at `rpath` in the string table
/// instead of its own, or `None` if there is no room. The library that `preload` names is loaded
/// first, if there is room for it, too.
fn dynamic_section(
    section: &[(usize, u64, u64)],
    rpath: u64,
    preload: Option<u64>,
) -> Option<Vec<(u64, u64)>> {
    let live = section.iter().map(|d| (d.1, d.2)).take_while(|d| d.0 != tag::DT_NULL);
    let mut out: Vec<(u64, u64)> =
        live.filter(|d| d.0 != tag::DT_RPATH && d.0 != tag::DT_RUNPATH).collect();
    out.push((tag::DT_RPATH, rpath));
    // One entry must remain as the end mark. Without DT_DEBUG, debuggers find the list of libraries
    // by a symbol of the loader.
    let room = section.len() - 1;
    if out.len() > room {
        out.retain(|d| d.0 != tag::DT_DEBUG);
    }
    if let Some(preload) = preload
        && out.len() < room
    {
        out.insert(0, (tag::DT_NEEDED, preload));
    }
    let fits = out.len() <= room;
    out.resize(section.len(), (tag::DT_NULL, 0));
    fits.then_some(out)
}

/// The program headers of an executable, and the header of the segment that is added.
struct Headers<'a> {
    elf: &'a Elf,
    /// The offset, the two addresses, the two lengths and the alignment.
    load: [u64; 6],
}

impl Headers<'_> {
    /// Returns the index of the header that is given up: a note after the segments, or otherwise the
    /// one that matters least.
    fn spare(&self) -> Option<usize> {
        let segments = &self.elf.segments;
        let last = segments.iter().rposition(|s| s.kind == tag::PT_LOAD)?;
        let of = |kind: u32| segments.iter().rposition(|s| s.kind == kind);
        let after = of(tag::PT_NOTE).filter(|note| *note > last);
        after
            .or_else(|| of(tag::PT_PAX_FLAGS))
            .or_else(|| of(tag::PT_NOTE))
            .or_else(|| of(tag::PT_GNU_PROPERTY))
    }

    /// Writes the headers to `out`: the given up one becomes that of the new segment, which comes
    /// after all others that are loaded, as it must, and the kernel no longer sees the interpreter.
    /// Returns the index of the interpreter's header.
    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let spare = self.spare()?;
        let segments = &self.elf.segments;
        let last = segments.iter().rposition(|s| s.kind == tag::PT_LOAD)?;
        let table = usize::try_from(self.elf.table).ok()?;
        let mut headers: Vec<Vec<u8>> = (0..segments.len())
            .map(|i| out[table + i * SEGMENT_SIZE..table + (i + 1) * SEGMENT_SIZE].to_vec())
            .collect();
        headers.remove(spare);
        let mut load = vec![];
        load.extend_from_slice(&tag::PT_LOAD.to_le_bytes());
        load.extend_from_slice(&5u32.to_le_bytes()); // read and execute
        load.extend(self.load.iter().flat_map(|value| value.to_le_bytes()));
        headers.insert(spare.max(last), load);
        let is_interp = |header: &Vec<u8>| header[..4] == tag::PT_INTERP.to_le_bytes();
        let interp = headers.iter().position(is_interp)?;
        headers[interp][..4].copy_from_slice(&tag::PT_NULL.to_le_bytes());
        for (i, header) in headers.iter().enumerate() {
            out[table + i * SEGMENT_SIZE..table + (i + 1) * SEGMENT_SIZE].copy_from_slice(header);
        }
        Some(interp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocate::elf::test::image;

    /// The note of this image stands before its segment, as in programs of Go.
    #[test]
    fn the_new_segment_comes_after_the_others() {
        let bytes = image("libc.so.6\0", &[(tag::DT_NEEDED, 1)]);
        let runtime = Runtime {
            platform: Platform::X86_64Linux,
            loader: MemberPath::literal("usr/lib/ld.so"),
            library_dirs: vec![MemberPath::literal("usr/lib")],
            locales: None,
            gconv: None,
        };
        let at = MemberPath::literal("usr/bin/x");
        let out = embed(&bytes, &at, &runtime, &Instructions::default()).unwrap();
        let elf = Elf::parse(&out).unwrap();
        let kinds: Vec<u32> = elf.segments.iter().map(|s| s.kind).collect();
        assert_eq!(kinds, [tag::PT_NULL, tag::PT_LOAD, tag::PT_LOAD, tag::PT_DYNAMIC]);
        assert!(elf.segments[2].vaddr > elf.segments[1].vaddr);
        assert_eq!(elf.entry, elf.segments[2].vaddr);
        assert_eq!(elf.segments[2].offset % PAGE, 0);
    }

    #[test]
    fn a_full_section_gives_up_the_entry_of_debuggers() {
        let section = |live: &[u64], spare: usize| -> Vec<(usize, u64, u64)> {
            let tags = live.iter().copied().chain(std::iter::repeat_n(tag::DT_NULL, spare));
            tags.enumerate().map(|(i, tag)| (i * 16, tag, 7)).collect()
        };
        let rewrite = |live: &[u64], spare: usize| {
            let out = dynamic_section(&section(live, spare), 100, Some(200));
            out.map(|out| out.into_iter().map(|e| e.0).take_while(|t| *t != 0).collect::<Vec<_>>())
        };
        let (needed, rpath, debug) = (tag::DT_NEEDED, tag::DT_RPATH, tag::DT_DEBUG);
        // Room for both.
        assert_eq!(rewrite(&[needed, debug], 3).unwrap(), [needed, needed, debug, rpath]);
        // Its own entry is used again.
        assert_eq!(rewrite(&[tag::DT_RUNPATH, debug], 1).unwrap(), [debug, rpath]);
        assert_eq!(rewrite(&[needed, debug], 1).unwrap(), [needed, rpath]);
        assert_eq!(rewrite(&[needed], 1), None);
    }
}
