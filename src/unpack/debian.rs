//! Debian binary packages. Source: deb(5).

use std::io::Read;

use super::ar::ArReader;
use super::budget::{Budget, Limits};
use super::compression::{self, Checks};
use super::layer::CaseCollisions;
use super::tarball::{TarOptions, unpack_tar};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Tree, archive_error};

/// The greatest length in bytes of a maintainer script that is read. The longest one of Debian 12
/// has 70 KB.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// The files of one input, and what a Debian package does when it is installed.
#[derive(Debug, Default)]
pub struct Layer {
    /// The files.
    pub tree: Tree,
    /// The text of the maintainer script `postinst`, if the input is a Debian package that has one.
    pub postinst: Option<String>,
}

impl From<Tree> for Layer {
    fn from(tree: Tree) -> Self {
        Layer { tree, postinst: None }
    }
}

/// Reads a package of `size` bytes. Top-level `bin`, `sbin` and `lib*` are moved below `usr`, as on
/// every merged Debian system, because packages of one release still differ in where they put a
/// file. Files that are not `wanted` are never written to the disk.
///
/// # Errors
/// If the package is damaged or hostile.
pub fn unpack_deb(
    package: &mut dyn Read,
    size: u64,
    blobs: &BlobDir,
    wanted: &dyn Fn(&MemberPath) -> bool,
) -> Result<Layer> {
    let mut archive = ArReader::new(package)?;
    let mut layer = Layer::default();
    {
        let (name, member) = archive.find(&["control.tar", "data.tar"])?;
        if name.starts_with("data.tar") {
            layer.tree = data(&name, member, size, blobs, wanted)?;
            return Ok(layer);
        }
        layer.postinst = postinst(&name, member)?;
    }
    let (name, member) = archive.find(&["data.tar"])?;
    layer.tree = data(&name, member, size, blobs, wanted)?;
    Ok(layer)
}

fn data(
    name: &str,
    member: impl Read,
    size: u64,
    blobs: &BlobDir,
    wanted: &dyn Fn(&MemberPath) -> bool,
) -> Result<Tree> {
    let map = |path| Some(usrmerged(path)).filter(|path| wanted(path));
    let format = compression::by_ending(name)?;
    let mut data = compression::decoder(format, Checks::Trust, member).map_err(archive_error)?;
    let options = TarOptions {
        strip: 0,
        may_be_empty: true,
        cases: CaseCollisions::Allow,
        limits: Limits::for_archive(size),
        map: &map,
    };
    unpack_tar(&mut data, blobs, &options)
}

/// Returns the text of `postinst` in the control member. A script that is a binary program or longer
/// than any real one is not read.
fn postinst(name: &str, member: impl Read) -> Result<Option<String>> {
    let format = compression::by_ending(name)?;
    let control = compression::decoder(format, Checks::Trust, member).map_err(archive_error)?;
    let limits = Limits::for_archive(0);
    let mut archive = tar::Archive::new(Budget::new(control, limits.bytes));
    // The names are short. The library would read any longer one whole.
    for entry in archive.entries().map_err(archive_error)?.raw(true) {
        let mut entry = entry.map_err(archive_error)?;
        let is_script = matches!(&*entry.path_bytes(), b"./postinst" | b"postinst");
        if !is_script || !entry.header().entry_type().is_file() || entry.size() > LONGEST_SCRIPT {
            continue;
        }
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).map_err(archive_error)?;
        return Ok(String::from_utf8(bytes).ok().filter(|text| text.starts_with("#!")));
    }
    Ok(None)
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
