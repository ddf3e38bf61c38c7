//! In-place stubs: the program itself maps the loader of its tree, so that `/proc/self/exe` still
//! refers to the program. The comment at the beginning of `launcher/stub.c` describes what the stub
//! does. This module is the counterpart that adds the stub to an executable as a segment.

use super::elf::{Elf, SEGMENT_SIZE, tag};
use super::launcher::Runtime;
use crate::error::{Error, Result};
use crate::model::{MemberPath, Platform};

const X86_64: &[u8] = include_bytes!("../../launcher/stub-x86_64");
const AARCH64: &[u8] = include_bytes!("../../launcher/stub-aarch64");
const MAGIC: &[u8] = b"cotter-stub-001\0";
const CONFIG: usize = 512;
/// The largest page size of the platforms, in bytes. The new segment is aligned to it.
const PAGE: u64 = 65536;

/// Gives the dynamically linked executable `bytes`, which is located at `at`, the stub as its entry
/// point and an RPATH relative to itself.
///
/// A PT_NOTE header becomes the PT_LOAD header of the stub. PT_INTERP is hidden from the kernel and
/// restored in memory. A DT_RUNPATH or a spare slot of the dynamic section becomes a DT_RPATH whose
/// text is in the segment of the stub; this is possible because the offset from the string table
/// may reach that far.
///
/// # Errors
/// If the executable has no room for it.
pub fn embed(bytes: &[u8], at: &MemberPath, runtime: &Runtime) -> Result<Vec<u8>> {
    let no = |why: &str| {
        Error::build(format!("{at} can't take the in-place stub: {why}"))
            .hint("take it out of `self_exe`: it gets a launcher then")
    };
    let elf = Elf::parse(bytes).ok_or_else(|| no("it is no ELF file"))?;
    let (interp, _) = elf.segment(tag::PT_INTERP).ok_or_else(|| no("it has no interpreter"))?;
    let note = elf
        .segments
        .iter()
        .rposition(|s| s.kind == tag::PT_NOTE)
        .ok_or_else(|| no("it has no note to give up"))?;
    let last_load = elf
        .segments
        .iter()
        .rposition(|s| s.kind == tag::PT_LOAD)
        .ok_or_else(|| no("it has no segment"))?;
    if note < last_load {
        return Err(no("its note stands before its segments"));
    }
    let dynamic = elf.dynamic(bytes).ok_or_else(|| no("its dynamic section is damaged"))?;
    let strtab = dynamic
        .iter()
        .find(|d| d.1 == tag::DT_STRTAB)
        .ok_or_else(|| no("it has no string table"))?
        .2;
    let end = dynamic
        .iter()
        .position(|d| d.1 == tag::DT_NULL)
        .ok_or_else(|| no("its dynamic section has no end"))?;
    let live = &dynamic[..end];
    let slot = live
        .iter()
        .find(|d| d.1 == tag::DT_RPATH || d.1 == tag::DT_RUNPATH)
        .map(|d| d.0)
        .or_else(|| {
            (end + 1 < dynamic.len() && dynamic[end + 1].1 == tag::DT_NULL)
                .then_some(dynamic[end].0)
        })
        .ok_or_else(|| no("its dynamic section is full"))?;

    let template = match runtime.platform {
        Platform::X86_64Linux => X86_64,
        Platform::Aarch64Linux => AARCH64,
    };
    let config = template
        .windows(MAGIC.len())
        .position(|w| w == MAGIC)
        .expect("the committed stub has its magic")
        + MAGIC.len();
    let mut blob = template.to_vec();
    let rpath_at = blob.len() as u64;
    let up = at.depth() - 1;
    let origin = "../".repeat(up);
    let rpath: Vec<String> =
        runtime.library_dirs.iter().map(|d| format!("$ORIGIN/{origin}{d}")).collect();
    blob.extend_from_slice(rpath.join(":").as_bytes());
    blob.push(0);

    let top = elf
        .segments
        .iter()
        .filter(|s| s.kind == tag::PT_LOAD)
        .map(|s| s.vaddr + s.memsz)
        .max()
        .expect("there is one");
    let vaddr = top.next_multiple_of(PAGE);
    let offset = (bytes.len() as u64).next_multiple_of(PAGE);

    let loader = runtime.loader.as_str().as_bytes();
    if loader.len() + 1 > CONFIG - 40 {
        return Err(no("the path of its loader is too long"));
    }
    blob[config..config + 8].copy_from_slice(&vaddr.to_le_bytes());
    blob[config + 8..config + 16].copy_from_slice(&elf.entry.to_le_bytes());
    blob[config + 16..config + 20].copy_from_slice(&(interp as u32).to_le_bytes());
    blob[config + 20..config + 24].copy_from_slice(&(up as u32).to_le_bytes());
    blob[config + 24..config + 24 + loader.len()].copy_from_slice(loader);

    let mut out = bytes.to_vec();
    out.resize(usize::try_from(offset).expect("files fit in memory"), 0);
    out.extend_from_slice(&blob);
    // e_entry
    out[24..32].copy_from_slice(&vaddr.to_le_bytes());
    let header = |i: usize| elf.table as usize + i * SEGMENT_SIZE;
    out[header(interp)..header(interp) + 4].copy_from_slice(&tag::PT_NULL.to_le_bytes());
    let at = header(note);
    out[at..at + 4].copy_from_slice(&tag::PT_LOAD.to_le_bytes());
    out[at + 4..at + 8].copy_from_slice(&5u32.to_le_bytes()); // read and execute
    let size = blob.len() as u64;
    for (i, value) in [offset, vaddr, vaddr, size, size, PAGE].into_iter().enumerate() {
        out[at + 8 + 8 * i..at + 16 + 8 * i].copy_from_slice(&value.to_le_bytes());
    }
    out[slot..slot + 8].copy_from_slice(&tag::DT_RPATH.to_le_bytes());
    out[slot + 8..slot + 16]
        .copy_from_slice(&(vaddr + rpath_at).wrapping_sub(strtab).to_le_bytes());
    Ok(out)
}
