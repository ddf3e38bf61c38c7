//! `config6a`, the list of plugins that `dot -c` writes when Graphviz is installed.
//!
//! A plugin exports a table as `gvplugin_<name>_LTX_library`: the name of the package and a pointer
//! to an array of (number of the interface, pointer to its types), which a null pointer ends. A
//! type is a number, a pointer to its name, a quality and two more pointers; a null pointer in the
//! place of the name ends the array. `gvplugin.h` of Graphviz defines these structures. The tables
//! are constants, so the file can be written without running the plugins.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use goblin::elf::Elf;

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The interfaces of plugins by their numbers.
const INTERFACES: [&str; 5] = ["render", "layout", "textlayout", "device", "loadimage"];

/// More entries than any table has, and more types than any plugin has.
const MOST: u64 = 1000;

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let directories = tree.paths(|path, node| {
        matches!(node, Node::File { .. } | Node::Symlink(_))
            && path.is_under("usr/lib")
            && path.file_name().starts_with("libgvplugin_core.so.")
    });
    let mut directories: Vec<MemberPath> =
        directories.iter().filter_map(MemberPath::parent).collect();
    directories.dedup();
    for directory in directories {
        let mut plugins = vec![];
        for name in names(tree, directory.as_str(), "") {
            // The name under which a plugin is loaded ends in the version of its interface.
            let version = name.strip_prefix("libgvplugin_").and_then(|n| n.split_once(".so."));
            if !version.is_some_and(|(_, v)| v.bytes().all(|b| b.is_ascii_digit())) {
                continue;
            }
            let path = MemberPath::literal(&format!("{directory}/{name}"));
            let Some((_, blob)) = tree.file(&path) else { continue };
            match Plugin::parse(name, &blob.read()?) {
                Some(plugin) => plugins.push(plugin),
                None => out.lacks(
                    format!("the plugin {path} of Graphviz has no table that can be read: `dot` does not use it"),
                    "leave the package of the plugin out if you do not need it",
                ),
            }
        }
        out.file(blobs, &format!("{directory}/config6a"), config(&plugins).as_bytes())?;
    }
    Ok(out)
}

/// A plugin, as its table describes it.
struct Plugin {
    file: String,
    package: String,
    /// Each interface with the names and qualities of its types.
    interfaces: Vec<(&'static str, Vec<(String, i32)>)>,
}

impl Plugin {
    fn parse(file: String, bytes: &[u8]) -> Option<Plugin> {
        let image = Image { elf: Elf::parse(bytes).ok()?, bytes };
        let library = image.symbol_with_ending("_LTX_library")?;
        let package = image.text(image.pointer(library)?)?.to_owned();
        let table = image.pointer(library.checked_add(8)?)?;
        let mut interfaces = vec![];
        let mut left = MOST;
        for i in 0..MOST {
            let entry = table.checked_add(16 * i)?;
            let Some(types) = image.pointer(entry.checked_add(8)?) else { break };
            let number = usize::try_from(image.number(entry)?).ok()?;
            let mut kinds = vec![];
            for j in 0..MOST {
                let kind = types.checked_add(40 * j)?;
                let Some(name) = image.pointer(kind.checked_add(8)?) else { break };
                kinds.push((image.text(name)?.to_owned(), image.number(kind.checked_add(16)?)?));
                left = left.checked_sub(1)?;
            }
            interfaces.push((*INTERFACES.get(number)?, kinds));
        }
        Some(Plugin { file, package, interfaces })
    }
}

/// Returns the configuration. A type such as `png:lasi` needs the renderer `lasi`. If no plugin has
/// that, the type is commented out in the way of `dot -c`.
fn config(plugins: &[Plugin]) -> String {
    let renderers: BTreeSet<&str> = plugins
        .iter()
        .flat_map(|p| p.interfaces.iter().filter(|(i, _)| *i == "render"))
        .flat_map(|(_, kinds)| kinds.iter().map(|(name, _)| name.as_str()))
        .collect();
    let mut out = "# The plugins of this tree, as `dot -c` lists them.\n\n".to_owned();
    for plugin in plugins {
        let _ = writeln!(out, "{} {} {{", plugin.file, plugin.package);
        for (interface, kinds) in &plugin.interfaces {
            let _ = writeln!(out, "\t{interface} {{");
            for (name, quality) in kinds {
                let works = name.split_once(':').is_none_or(|(_, needs)| renderers.contains(needs));
                let mark = if works { "" } else { "#FAILS" };
                let _ = writeln!(out, "{mark}\t\t{name} {quality}");
            }
            out.push_str("\t}\n");
        }
        out.push_str("}\n");
    }
    out
}

/// A shared library as it is in memory after it was loaded at the address 0.
struct Image<'a> {
    elf: Elf<'a>,
    bytes: &'a [u8],
}

impl Image<'_> {
    fn symbol_with_ending(&self, ending: &str) -> Option<u64> {
        let is_wanted = |s: &goblin::elf::Sym| {
            s.st_shndx != 0
                && self.elf.dynstrtab.get_at(s.st_name).is_some_and(|n| n.ends_with(ending))
        };
        self.elf.dynsyms.iter().find(is_wanted).map(|s| s.st_value)
    }

    fn offset(&self, address: u64) -> Option<usize> {
        let held = |h: &&goblin::elf::ProgramHeader| {
            h.p_type == goblin::elf::program_header::PT_LOAD
                && (h.p_vaddr..h.p_vaddr.saturating_add(h.p_filesz)).contains(&address)
        };
        let header = self.elf.program_headers.iter().find(held)?;
        usize::try_from((address - header.p_vaddr).checked_add(header.p_offset)?).ok()
    }

    fn number(&self, address: u64) -> Option<i32> {
        let at = self.offset(address)?;
        Some(i32::from_le_bytes(self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }

    /// Returns the pointer at an address, or `None` if it is null.
    fn pointer(&self, address: u64) -> Option<u64> {
        let value = match self.elf.dynrelas.iter().find(|r| r.r_offset == address) {
            Some(r) => {
                let base = match r.r_sym {
                    0 => 0,
                    n => self.elf.dynsyms.get(n).filter(|s| s.st_shndx != 0)?.st_value,
                };
                base.checked_add_signed(r.r_addend.unwrap_or(0))?
            }
            // Compact relocations keep the address in its place.
            None => {
                let at = self.offset(address)?;
                u64::from_le_bytes(self.bytes.get(at..at.checked_add(8)?)?.try_into().ok()?)
            }
        };
        (value != 0).then_some(value)
    }

    fn text(&self, address: u64) -> Option<&str> {
        let rest = self.bytes.get(self.offset(address)?..)?;
        let end = rest.iter().take(200).position(|b| *b == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_whose_renderer_is_missing_is_commented_out() {
        let types = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), 1)).collect();
        let plugin = Plugin {
            file: "libgvplugin_a.so.6".to_owned(),
            package: "a".to_owned(),
            interfaces: vec![
                ("render", types(&["ps"])),
                ("device", types(&["eps:ps", "png:lasi"])),
            ],
        };
        let text = config(&[plugin]);
        let expected = "libgvplugin_a.so.6 a {\n\trender {\n\t\tps 1\n\t}\n\tdevice {\n\t\teps:ps 1\n#FAILS\t\tpng:lasi 1\n\t}\n}\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn what_is_no_plugin_is_refused() {
        assert!(Plugin::parse("libgvplugin_a.so.6".to_owned(), b"\x7fELF").is_none());
    }
}
