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

/// Reads the data of a package of `size` bytes. Top-level `bin`, `sbin` and `lib*` are moved below
/// `usr`, as on every merged Debian system, because packages of one release still differ in where
/// they put a file. Files that are not `wanted` are never written to the disk.
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

/// Moves a path below `usr` in the same cases as Debian's usrmerge.
fn usrmerged(path: MemberPath) -> MemberPath {
    let top = path.parts().next().expect("never empty");
    if matches!(top, "bin" | "sbin") || top.starts_with("lib") {
        MemberPath::literal(&format!("usr/{path}"))
    } else {
        path
    }
}
