//! The wheel of pip that `python3 -m venv` installs. Debian's copy reads the certificates of the
//! machine, so a virtual environment of the tree would trust what the host trusts, and trixie's
//! could not even be made on a machine without certificates.

use std::io::{Cursor, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::error::Result;
use crate::model::{Digest, MemberPath};
use crate::tree::{BlobDir, Node, Tree, archive_error};

/// The module of the wheel that names the file of certificates.
const MODULE: &str = "pip/_vendor/certifi/core.py";

/// What the module names.
const OF_THE_HOST: &str = "'/etc/ssl/certs/ca-certificates.crt'";

/// What it names instead: the file that the module `ssl` of the tree uses, which is the tree's own
/// unless the user has set SSL_CERT_FILE.
const OF_THE_TREE: &str =
    "(__import__('ssl').get_default_verify_paths().cafile or '/etc/ssl/certs/ca-certificates.crt')";

/// The largest member of a wheel that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Makes the wheels of pip in the tree use the certificates of the tree.
///
/// # Errors
/// If such a wheel is damaged, or if a staged file cannot be read or written.
pub fn settle(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let is_wheel = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. })
            && path.file_name().starts_with("pip-")
            && path.file_name().ends_with(".whl")
    };
    for path in tree.paths(is_wheel) {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let changed = with_own_certificates(&blob.read()?)
            .map_err(|e| archive_error(e).about(path.as_str()))?;
        if let Some(changed) = changed {
            let blob = blobs.put(&changed)?;
            tree.put(path, Node::File { blob, executable: false });
        }
    }
    Ok(())
}

/// Returns the wheel with another location of the certificates and with the hash of the changed
/// module in its RECORD, or `None` if the wheel does not name those of the host.
fn with_own_certificates(wheel: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let mut zip = ZipArchive::new(Cursor::new(wheel))?;
    let Some(module) = member(&mut zip, MODULE)? else { return Ok(None) };
    let double = OF_THE_HOST.replace('\'', "\"");
    let changed = module.replace(OF_THE_HOST, OF_THE_TREE).replace(&double, OF_THE_TREE);
    if changed == module {
        return Ok(None);
    }
    let row = |text: &str| {
        let hash = URL_SAFE_NO_PAD.encode(Digest::of(text.as_bytes()).as_bytes());
        format!("{MODULE},sha256={hash},{}", text.len())
    };
    let mut out = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default();
    for i in 0..zip.len() {
        let name = zip.by_index_raw(i)?.name()?.into_owned();
        let text = match name.as_str() {
            MODULE => Some(changed.clone()),
            _ if name.ends_with(".dist-info/RECORD") => {
                member(&mut zip, &name)?.map(|record| record.replace(&row(&module), &row(&changed)))
            }
            _ => None,
        };
        match text {
            Some(text) => {
                out.start_file(name, options)?;
                out.write_all(text.as_bytes())?;
            }
            None => out.raw_copy_file(zip.by_index_raw(i)?)?,
        }
    }
    Ok(Some(out.finish()?.into_inner()))
}

/// Returns the text of a member, or `None` if there is no such member or if it is too large.
fn member(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> std::io::Result<Option<String>> {
    let Ok(mut entry) = zip.by_name(name) else { return Ok(None) };
    if entry.size() > LARGEST {
        return Ok(None);
    }
    let mut text = String::new();
    entry.by_ref().take(LARGEST).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(module: &str) -> Vec<u8> {
        let mut out = ZipWriter::new(Cursor::new(vec![]));
        let hash = URL_SAFE_NO_PAD.encode(Digest::of(module.as_bytes()).as_bytes());
        let record = format!("x,,\r\n{MODULE},sha256={hash},{}\r\n", module.len());
        for (name, text) in
            [("pip/x", "text"), (MODULE, module), ("pip-1.dist-info/RECORD", &record)]
        {
            out.start_file(name, SimpleFileOptions::default()).unwrap();
            out.write_all(text.as_bytes()).unwrap();
        }
        out.finish().unwrap().into_inner()
    }

    #[test]
    fn the_module_and_its_row_change_together() {
        for quote in ['\'', '"'] {
            let module = format!("P = {quote}/etc/ssl/certs/ca-certificates.crt{quote}\n");
            let changed = with_own_certificates(&wheel(&module)).unwrap().unwrap();
            let expected = format!("P = {OF_THE_TREE}\n");
            let mut zip = ZipArchive::new(Cursor::new(&changed[..])).unwrap();
            assert_eq!(member(&mut zip, MODULE).unwrap().unwrap(), expected);
            assert_eq!(member(&mut zip, "pip/x").unwrap().unwrap(), "text");
            // The wheel that names nothing of the host is the wheel that the test would make itself.
            let mut own = ZipArchive::new(Cursor::new(wheel(&expected))).unwrap();
            let mut record = String::new();
            let name = "pip-1.dist-info/RECORD";
            own.by_name(name).unwrap().read_to_string(&mut record).unwrap();
            assert_eq!(member(&mut zip, name).unwrap().unwrap(), record);
        }
    }

    #[test]
    fn a_wheel_with_certificates_of_its_own_stays() {
        assert_eq!(with_own_certificates(&wheel("P = 'cacert.pem'\n")).unwrap(), None);
        assert!(with_own_certificates(b"no zip").is_err());
    }
}
