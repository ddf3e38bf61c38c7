//! What a new compiler has to do with the libc of this machine.

use memchr::memmem;

use crate::context::Context;
use crate::lockfile::FILE_NAME;
use crate::model::Platform;
use crate::project::read_lock;
use crate::resolve::debian_version;
use crate::store::RootTree;

/// The places of the libc on a machine. `%M` stands for the platform in Debian's spelling.
const PLACES: &[&str] = &["/lib/%M/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"];

/// What stands before the version in the text that glibc prints when it is started as a program.
const BANNER: &[u8] = b"release version ";

/// Warns about compilers for this machine whose glibc is newer than that of the machine: programs that
/// they link may ask for functions that the machine's glibc does not have.
pub fn warn<'t>(trees: impl Iterator<Item = &'t RootTree>, cx: &Context) {
    let Some(native) = Platform::native() else { return };
    let Ok(manifest) = cx.manifest_path() else { return };
    let Ok(Some(lock)) = read_lock(&manifest.with_file_name(FILE_NAME), cx) else { return };
    let Some(machine) = libc_of_machine(native) else { return };
    for tree in trees.filter(|tree| tree.platform == native) {
        let Some(locked) = lock.get(&tree.name, tree.platform) else { continue };
        let Some(own) = locked.plan.linked_libc(native) else { continue };
        if debian_version::compare(&machine, own).is_lt() {
            cx.reporter.warn(&format!(
                "{}: its programs are linked for glibc {own}, and this machine has {machine}: those that need something newer do not start here; link them with the pinned libc or with -static, see docs/trees.md, or take a compiler of an older suite",
                tree.name
            ));
        }
    }
}

fn libc_of_machine(native: Platform) -> Option<String> {
    let paths = PLACES.iter().map(|place| place.replace("%M", native.multiarch()));
    let bytes = paths.into_iter().find_map(|path| fs_err::read(path).ok())?;
    version_in(&bytes)
}

/// Returns the version that the text of a glibc states.
fn version_in(libc: &[u8]) -> Option<String> {
    let at = memmem::find(libc, BANNER)? + BANNER.len();
    let is_part = |b: &&u8| b.is_ascii_digit() || **b == b'.';
    let version = libc[at..].iter().take(10).take_while(is_part).copied().collect();
    let version = String::from_utf8(version).ok()?.trim_end_matches('.').to_owned();
    version.starts_with("2.").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_glibc_is_in_its_text() {
        let text = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright";
        assert_eq!(version_in(text).as_deref(), Some("2.36"));
        for other in [&b"musl libc"[..], b"release version 3.1", b"release version "] {
            assert_eq!(version_in(other), None);
        }
    }
}
