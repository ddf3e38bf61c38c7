//! Compares two files by their form.

use super::spot::{CompareInner, Spots, What};
use super::{ar, binary, elf, packed, pyc, tape, text, zipped};

/// How deep archives in archives are opened.
const DEEPEST: usize = 5;

/// Adds the differences of two files. `name` is the name of the file; `depth` tells in how many archives
/// it is.
pub fn contents(both: [&[u8]; 2], name: &str, within: &[String], depth: usize, out: &mut Spots) {
    let [old, new] = both;
    if old == new {
        return;
    }
    let begin = |magic: &[u8]| old.starts_with(magic) && new.starts_with(magic);
    let before = out.list.len() + out.left_out;
    let is_open = depth < DEEPEST;
    let inner: CompareInner =
        &|both, name, within, out| contents(both, name, within, depth + 1, out);
    let known = if begin(elf::MAGIC) {
        elf::objects(both, within, out)
    } else if begin(ar::MAGIC) {
        is_open && ar::archives(both, within, inner, out)
    } else if begin(zipped::MAGIC) {
        is_open && zipped::archives(both, within, inner, out)
    } else if packed::are_packed(both) {
        is_open && packed::files(both, name, within, inner, out)
    } else if both.iter().all(|bytes| tape::is_tar(bytes)) {
        is_open && tape::archives(both, within, inner, out)
    } else if both.iter().all(|bytes| pyc::is_pyc(name, bytes)) {
        pyc::modules(both, within, out);
        true
    } else {
        false
    };
    // A form that hides the difference does not count.
    if known && out.list.len() + out.left_out > before {
        return;
    }
    if both.iter().all(|bytes| text::is_text(bytes)) {
        text::lines(both, within, out);
    } else {
        binary::bytes(both, 0, within, out);
    }
    if out.list.len() + out.left_out == before {
        let size = |bytes: &[u8]| format!("{} bytes", bytes.len());
        let values = both.map(size);
        out.add(within, What::Field { name: "content", values, cause: None });
    }
}
