//! Debian binary packages. Source: deb(5).

use std::io::Read;

use super::budget::Limits;
use super::compression::Checks;
use super::layer::CaseCollisions;
use super::tarball::{TarOptions, unpack_tar};
use super::{ar, compression};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Tree, archive_error};

/// Reads the data of a package of `size` bytes. Top-level `bin`, `sbin` and `lib*` move below `usr`, as on every merged Debian system:
/// packages of one release still disagree on where they put a file. What is not `wanted` is never written to the disk.
///
/// # Errors
/// If the package is damaged or hostile.
pub fn unpack_deb(
    mut package: &mut dyn Read,
    size: u64,
    blobs: &BlobDir,
    wanted: &dyn Fn(&MemberPath) -> bool,
) -> Result<Tree> {
    let map = |path| Some(usrmerged(path)).filter(|path| wanted(path));
    let (name, member) = ar::find_member(&mut package, "data.tar")?;
    let format = compression::by_ending(&name)?;
    let mut data = compression::decoder(format, Checks::Trust, member).map_err(archive_error)?;
    let options = TarOptions {
        strip: 0,
        cases: CaseCollisions::Allow,
        limits: Limits::for_archive(size),
        map: &map,
    };
    unpack_tar(&mut data, blobs, &options)
}

/// Moves a path below `usr` where Debian's usrmerge does.
fn usrmerged(path: MemberPath) -> MemberPath {
    let top = path.parts().next().expect("never empty");
    if matches!(top, "bin" | "sbin") || top.starts_with("lib") {
        MemberPath::literal(&format!("usr/{path}"))
    } else {
        path
    }
}
