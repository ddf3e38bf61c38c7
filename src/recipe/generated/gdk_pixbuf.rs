//! `loaders.cache`, in which gdk-pixbuf finds the module for a format of images. Debian lets
//! `gdk-pixbuf-query-loaders` load the modules and ask them. What the modules answer is in their
//! code, so it is a table here.

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The formats: the name of the module, and what its entry in the cache says.
///
/// The first line has the name, flags (1: writable, 2: scalable, 4: safe in threads; read and written
/// by gdk-pixbuf itself), a domain of translations, a description and a licence. MIME types and
/// endings of names follow, then patterns of the first bytes: the bytes, their mask, and a weight.
const FORMATS: &[(&str, &str)] = &[
    (
        "ani",
        r#""ani" 4 "gdk-pixbuf" "Windows animated cursor" "LGPL"
"application/x-navi-animation" ""
"ani" ""
"RIFF    ACON" "    xxxx    " 100
"#,
    ),
    (
        "bmp",
        r#""bmp" 5 "gdk-pixbuf" "BMP" "LGPL"
"image/bmp" "image/x-bmp" "image/x-MS-bmp" ""
"bmp" ""
"BM" "" 100
"#,
    ),
    (
        "gif",
        r#""gif" 4 "gdk-pixbuf" "GIF" "LGPL"
"image/gif" ""
"gif" ""
"GIF8" "" 100
"#,
    ),
    (
        "icns",
        r#""icns" 4 "gdk-pixbuf" "MacOS X icon" "GPL"
"image/x-icns" ""
"icns" ""
"icns" "" 100
"#,
    ),
    (
        "ico",
        r#""ico" 5 "gdk-pixbuf" "Windows icon" "LGPL"
"image/x-icon" "image/x-ico" "image/x-win-bitmap" "image/vnd.microsoft.icon" "application/ico" "image/ico" "image/icon" "text/ico" ""
"ico" "cur" ""
"  \001   " "zz znz" 100
"  \002   " "zz znz" 100
"#,
    ),
    (
        "pnm",
        r#""pnm" 4 "gdk-pixbuf" "PNM/PBM/PGM/PPM" "LGPL"
"image/x-portable-anymap" "image/x-portable-bitmap" "image/x-portable-graymap" "image/x-portable-pixmap" ""
"pnm" "pbm" "pgm" "ppm" ""
"P1" "" 100
"P2" "" 100
"P3" "" 100
"P4" "" 100
"P5" "" 100
"P6" "" 100
"#,
    ),
    (
        "qtif",
        r#""qtif" 4 "gdk-pixbuf" "QuickTime" "LGPL"
"image/x-quicktime" "image/qtif" ""
"qtif" "qif" ""
"abcdidsc" "xxxx    " 100
"abcdidat" "xxxx    " 100
"#,
    ),
    (
        "svg",
        r#""svg" 6 "gdk-pixbuf" "Scalable Vector Graphics" "LGPL"
"image/svg+xml" "image/svg" "image/svg-xml" "image/vnd.adobe.svg+xml" "text/xml-svg" "image/svg+xml-compressed" ""
"svg" "svgz" "svg.gz" ""
" <svg" "*    " 100
" <!DOCTYPE svg" "*             " 100
"#,
    ),
    (
        "tga",
        r#""tga" 4 "gdk-pixbuf" "Targa" "LGPL"
"image/x-tga" ""
"tga" "targa" ""
" \001\001" "x  " 100
" \001\t" "x  " 100
"  \002" "xz " 99
"  \003" "xz " 100
"  \n" "xz " 100
"  \v" "xz " 100
"#,
    ),
    (
        "tiff",
        r#""tiff" 5 "gdk-pixbuf" "TIFF" "LGPL"
"image/tiff" ""
"tiff" "tif" ""
"MM *" "  z " 100
"II* " "   z" 100
"II* \020   CR\002 " "   z zzz   z" 0
"#,
    ),
    (
        "xbm",
        r##""xbm" 4 "gdk-pixbuf" "XBM" "LGPL"
"image/x-xbitmap" ""
"xbm" ""
"#define " "" 100
"/*" "" 50
"##,
    ),
    (
        "xpm",
        r#""xpm" 4 "gdk-pixbuf" "XPM" "LGPL"
"image/x-xpixmap" ""
"xpm" ""
"/* XPM */" "" 100
"#,
    ),
];

/// The generator.
///
/// # Errors
/// If the staging directory cannot be written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let modules = tree.paths(|path, node| {
        matches!(node, Node::File { .. })
            && path.parent().is_some_and(|d| d.as_str().ends_with("/2.10.0/loaders"))
    });
    let mut directories: Vec<MemberPath> = modules.iter().filter_map(MemberPath::parent).collect();
    directories.dedup();
    for directory in directories {
        let mut cache = "# The modules of this tree for gdk-pixbuf.\n\n".to_owned();
        for module in names(tree, directory.as_str(), ".so") {
            let name = module
                .strip_prefix("libpixbufloader")
                .and_then(|n| n.strip_prefix(['-', '_']))
                .and_then(|n| n.strip_suffix(".so"));
            match FORMATS.iter().find(|(known, _)| Some(*known) == name) {
                Some((_, text)) => {
                    cache.push_str(&format!("\"/{directory}/{module}\"\n{text}\n"));
                }
                None => out.lacks(
                    format!("cotter does not know the module {module} of gdk-pixbuf: programs do not open its format"),
                    format!("write a list with the tree's own {}/gdk-pixbuf-query-loaders and name it in GDK_PIXBUF_MODULE_FILE",
                        directory.as_str().trim_end_matches("/2.10.0/loaders")),
                ),
            }
        }
        let parent = directory.parent().expect("it has names before it");
        out.file(blobs, &format!("{parent}/loaders.cache"), cache.as_bytes())?;
    }
    Ok(out)
}
