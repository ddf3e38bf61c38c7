//! Compares ELF files: the sections, and the symbols that cover what differs.

use goblin::elf::Elf;
use goblin::elf::section_header::SHT_NOBITS;

use super::binary;
use super::spot::{Spots, What, inside, lists, pair};

/// What an ELF file begins with.
pub const MAGIC: &[u8] = b"\x7fELF";

/// Sections whose content is made of that of others: hashes, addresses and sizes.
const MADE: [&str; 14] = [
    ".note.gnu.build-id",
    ".gnu_debuglink",
    ".gnu.hash",
    ".hash",
    ".rela",
    ".rel.",
    ".eh_frame",
    ".dynamic",
    ".dynsym",
    ".symtab",
    ".gnu.version",
    ".got",
    ".plt",
    ".shstrtab",
];

/// A section.
struct Part<'a> {
    name: String,
    offset: u64,
    address: u64,
    bytes: &'a [u8],
}

/// Adds the differences of two files. Returns `false` if one cannot be read.
pub fn objects(both: [&[u8]; 2], within: &[String], out: &mut Spots) -> bool {
    let [Ok(old), Ok(new)] = both.map(Elf::parse) else { return false };
    let sections = [parts(&old, both[0]), parts(&new, both[1])];
    let names = sections.each_ref().map(|list| -> Vec<String> {
        list.iter().map(|part| format!("section {}", part.name)).collect()
    });
    let begin = out.list.len();
    let paired = lists([&names[0], &names[1]], "sections", within, out);
    let reordered = functions([&old, &new], within, out);
    let moved = paired.both.iter().any(|(a, b)| {
        let (old, new) = (&sections[0][*a], &sections[1][*b]);
        old.bytes.len() != new.bytes.len() && !is_made(&old.name)
    });
    let mut own = 0;
    for (a, b) in &paired.both {
        let (was, is) = (&sections[0][*a], &sections[1][*b]);
        if was.bytes == is.bytes {
            continue;
        }
        let mut here = inside(within, names[0][*a].clone());
        let first = was.bytes.iter().zip(is.bytes).position(|(a, b)| a != b).unwrap_or_default();
        let at = was.address + first as u64;
        here.extend(symbol(&old, at).map(|name| format!("symbol {name}")));
        let from = out.list.len();
        if was.bytes.len() != is.bytes.len() && is_made(&was.name) {
            let values = [was, is].map(|part| format!("{} bytes", part.bytes.len()));
            out.add(&here, What::Field { name: "size", values, cause: None });
        } else {
            binary::bytes([was.bytes, is.bytes], was.offset, &here, out);
        }
        let same_size = was.bytes.len() == is.bytes.len();
        let follows = is_made(&was.name)
            || (moved && same_size && has_code(&was.name))
            || (reordered && are_permuted(was.bytes, is.bytes));
        if follows {
            out.list[from..].iter_mut().for_each(|spot| spot.follows = true);
        } else {
            own += 1;
        }
    }
    // Without a difference that they could follow from, they stand for themselves.
    if own == 0 && !out.list[begin..].iter().any(|spot| !spot.follows) {
        out.list[begin..].iter_mut().for_each(|spot| spot.follows = false);
    }
    true
}

fn is_made(name: &str) -> bool {
    MADE.iter().any(|made| name.starts_with(made))
}

/// Whether two sections have the same bytes in another order.
fn are_permuted(old: &[u8], new: &[u8]) -> bool {
    let count = |bytes: &[u8]| {
        bytes.iter().fold([0_usize; 256], |mut counts, byte| {
            counts[usize::from(*byte)] += 1;
            counts
        })
    };
    old.len() == new.len() && count(old) == count(new)
}

fn has_code(name: &str) -> bool {
    [".text", ".init", ".fini", ".data", ".tbss", ".tdata"]
        .iter()
        .any(|code| name.starts_with(code))
}

fn parts<'a>(elf: &Elf, bytes: &'a [u8]) -> Vec<Part<'a>> {
    let headers = elf.section_headers.iter();
    headers
        .filter(|header| header.sh_type != SHT_NOBITS && header.sh_size > 0)
        .filter_map(|header| {
            let from = usize::try_from(header.sh_offset).ok()?;
            let to = from.checked_add(usize::try_from(header.sh_size).ok()?)?;
            Some(Part {
                name: elf.shdr_strtab.get_at(header.sh_name).unwrap_or_default().to_owned(),
                offset: header.sh_offset,
                address: header.sh_addr,
                bytes: bytes.get(from..to)?,
            })
        })
        .collect()
}

/// Returns the name of the symbol that covers an address.
fn symbol(elf: &Elf, address: u64) -> Option<String> {
    if address == 0 {
        return None;
    }
    let of = |table: &goblin::elf::Symtab, names: &goblin::strtab::Strtab| {
        let covers = |symbol: &goblin::elf::Sym| {
            symbol.st_size > 0
                && symbol.st_value <= address
                && address - symbol.st_value < symbol.st_size
        };
        let symbol = table.iter().find(covers)?;
        names.get_at(symbol.st_name).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    of(&elf.syms, &elf.strtab).or_else(|| of(&elf.dynsyms, &elf.dynstrtab))
}

/// Adds the order of the functions and objects, if that differs: files were linked in another order.
/// Returns whether it does.
fn functions([old, new]: [&Elf; 2], within: &[String], out: &mut Spots) -> bool {
    let ordered = |elf: &Elf| -> Vec<String> {
        let (table, names) = match elf.syms.is_empty() {
            true => (&elf.dynsyms, &elf.dynstrtab),
            false => (&elf.syms, &elf.strtab),
        };
        let mut list: Vec<(u64, String)> = table
            .iter()
            .filter(|symbol| symbol.st_size > 0 && symbol.st_value > 0)
            .filter_map(|symbol| Some((symbol.st_value, names.get_at(symbol.st_name)?.to_owned())))
            .collect();
        list.sort();
        list.into_iter().map(|(_, name)| name).collect()
    };
    let (old, new) = (ordered(old), ordered(new));
    let paired = pair(&old, &new);
    if let Some((from, to)) = paired.first_moved()
        && paired.gone.is_empty()
        && paired.new.is_empty()
    {
        let first = [old[from].clone(), new[to].clone()];
        out.add(within, What::Order { of: "functions", first, of_locale: false });
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_this_program_is_told_with_its_section() {
        let program = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&program).unwrap();
        let part = parts(&elf, &program).into_iter().find(|part| part.name == ".rodata").unwrap();
        let at = usize::try_from(part.offset).unwrap() + 100;
        let mut other = program.clone();
        other[at] ^= 1;
        let mut out = Spots::default();
        assert!(objects([&program, &other], &[], &mut out));
        let [spot] = &out.list[..] else { panic!("{out:?}") };
        assert_eq!(spot.within[0], "section .rodata");
        assert!(!spot.follows);
        assert!(!objects([b"\x7fELF", b"\x7fELF"], &[], &mut out));
    }
}
