//! What a program that is linked with the libraries of a tree needs at run time: certificates,
//! plugins and data. The libraries look for them in the places of the system for which they were
//! built. `cotter exec` sets the variables by which they find those of the tree.

use std::collections::BTreeMap;

use super::api::Active;
use super::edit::replace;
use super::generated::Ungenerated;
use crate::environment::Variables;
use crate::error::Result;
use crate::facts::RuntimeVariable;
use crate::model::{MemberPath, Platform};
use crate::relocate::paths::GCONV_VARIABLE;
use crate::tree::{BlobDir, Node, Tree};

/// How the values of several trees are combined.
#[derive(Clone, Copy)]
enum Value {
    /// The first tree counts.
    First,
    /// The variable is a list of directories.
    List,
}

/// A variable by which a library finds something of the tree.
struct Living {
    variable: &'static str,
    /// The variable is set if the tree has this path. `%M` stands for the platform in Debian's spelling.
    path: &'static str,
    /// What the variable names if this is not the path itself.
    names: Option<&'static str>,
    value: Value,
}

const fn one(variable: &'static str, path: &'static str) -> Living {
    Living { variable, path, names: None, value: Value::First }
}

const fn list(variable: &'static str, path: &'static str) -> Living {
    Living { variable, path, names: None, value: Value::List }
}

const fn data(path: &'static str) -> Living {
    let value = Value::List;
    Living { variable: "XDG_DATA_DIRS", path, names: Some("usr/share"), value }
}

/// All variables, in the order of what they are for: TLS, Qt, GStreamer, GLib and GTK, fonts, X11 and
/// keyboards, graphics, sound, terminals and zones, and data of single libraries.
const LIVING: &[Living] = &[
    one("OPENSSL_CONF", "etc/ssl/openssl.cnf"),
    one("OPENSSL_ENGINES", "usr/lib/%M/engines-3"),
    one("OPENSSL_MODULES", "usr/lib/%M/ossl-modules"),
    list("QT_PLUGIN_PATH", "usr/lib/%M/qt6/plugins"),
    list("QT_PLUGIN_PATH", "usr/lib/%M/qt5/plugins"),
    list("QML_IMPORT_PATH", "usr/lib/%M/qt6/qml"),
    list("QML2_IMPORT_PATH", "usr/lib/%M/qt5/qml"),
    list("GST_PLUGIN_SYSTEM_PATH_1_0", "usr/lib/%M/gstreamer-1.0"),
    one("GST_PLUGIN_SCANNER_1_0", "usr/lib/%M/gstreamer1.0/gstreamer-1.0/gst-plugin-scanner"),
    one("GDK_PIXBUF_MODULE_FILE", "usr/lib/%M/gdk-pixbuf-2.0/2.10.0/loaders.cache"),
    one("GIO_MODULE_DIR", "usr/lib/%M/gio/modules"),
    one("GSETTINGS_SCHEMA_DIR", "usr/share/glib-2.0/schemas/gschemas.compiled"),
    list("GI_TYPELIB_PATH", "usr/lib/%M/girepository-1.0"),
    list("GTK_PATH", "usr/lib/%M/gtk-3.0"),
    list("GTK_PATH", "usr/lib/%M/gtk-2.0"),
    // GTK does not search the directories of the machine then. It has no multiarch directory here.
    Living {
        variable: "GTK_EXE_PREFIX",
        path: "usr/lib/%M/gtk-3.0",
        names: Some("usr"),
        value: Value::First,
    },
    Living {
        variable: "GTK_DATA_PREFIX",
        path: "usr/share/themes",
        names: Some("usr"),
        value: Value::First,
    },
    // Only one version of GTK can read the list. A tree with both has that of the newer one.
    one("GTK_IM_MODULE_FILE", "usr/lib/%M/gtk-3.0/3.0.0/immodules.cache"),
    one("GTK_IM_MODULE_FILE", "usr/lib/%M/gtk-2.0/2.10.0/immodules.cache"),
    data("usr/share/mime"),
    data("usr/share/icons"),
    data("usr/share/glib-2.0/schemas"),
    one("FONTCONFIG_FILE", "etc/fonts/fonts.conf"),
    one("FONTCONFIG_PATH", "etc/fonts"),
    one("XKB_CONFIG_ROOT", "usr/share/X11/xkb"),
    one("XLOCALEDIR", "usr/share/X11/locale"),
    one("XERRORDB", "usr/share/X11/XErrorDB"),
    one("__EGL_VENDOR_LIBRARY_DIRS", "usr/share/glvnd/egl_vendor.d"),
    one("LIBGL_DRIVERS_PATH", "usr/lib/%M/dri"),
    one("LIBVA_DRIVERS_PATH", "usr/lib/%M/dri"),
    one("GBM_BACKENDS_PATH", "usr/lib/%M/gbm"),
    one("ALSA_CONFIG_DIR", "usr/share/alsa"),
    one("ALSA_CONFIG_PATH", "usr/share/alsa/alsa.conf"),
    list("TERMINFO_DIRS", "usr/share/terminfo"),
    list("TERMINFO_DIRS", "usr/lib/terminfo"),
    one("TZDIR", "usr/share/zoneinfo"),
    one("MAGIC", "usr/share/misc/magic.mgc"),
    one("PROJ_DATA", "usr/share/proj"),
    one("GDAL_DATA", "usr/share/gdal"),
    Living {
        variable: "OPAL_PREFIX",
        path: "usr/lib/%M/openmpi/lib/openmpi3",
        names: Some("usr"),
        value: Value::First,
    },
];

/// The certificates of gRPC, which count like those below.
const CERTIFICATES_OF_GRPC: (&str, &str) =
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "usr/share/grpc/roots.pem");

/// The certificates. Those that the user selects count more, because a proxy may need them.
const CERTIFICATES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "etc/ssl/certs/ca-certificates.crt"), ("SSL_CERT_DIR", "etc/ssl/certs")];

/// Returns the variables for what a tree of libraries has. `exists` tells whether it has a path.
pub fn variables(platform: Platform, exists: &dyn Fn(&str) -> bool) -> Vec<RuntimeVariable> {
    let at = |path: &str| path.replace("%M", platform.multiarch());
    let mut out: Vec<RuntimeVariable> = vec![];
    for living in LIVING.iter().filter(|living| exists(&at(living.path))) {
        let named = at(living.names.unwrap_or(living.path));
        let path = named.trim_end_matches("/gschemas.compiled").to_owned();
        let (name, is_list) = (living.variable.to_owned(), matches!(living.value, Value::List));
        let variable = RuntimeVariable { name, path, is_list, unless: vec![] };
        if !out.contains(&variable) {
            out.push(variable);
        }
    }
    for group in [&[CERTIFICATES_OF_GRPC][..], &CERTIFICATES] {
        let unless: Vec<String> = group.iter().map(|(name, _)| (*name).to_owned()).collect();
        for (name, path) in group.iter().filter(|_| exists(group[0].1)) {
            out.push(RuntimeVariable {
                name: (*name).to_owned(),
                path: (*path).to_owned(),
                is_list: false,
                unless: unless.clone(),
            });
        }
    }
    out
}

/// Returns the files and directories of a tree to which the variables lead, sorted. None lies in
/// another.
pub fn files(platform: Platform, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let paths = LIVING.iter().map(|living| living.path);
    // The directory of certificates has names with letters that Bazel does not accept, and OpenSSL
    // finds nothing in it that is not in the file.
    let certificates = [CERTIFICATES[0].1, CERTIFICATES_OF_GRPC.1];
    // The configuration of fontconfig names the directory.
    let fonts = ["usr/share/fonts"].into_iter().filter(|_| exists("etc/fonts/fonts.conf"));
    let mut all: Vec<String> = paths
        .chain(certificates)
        .chain(fonts)
        .map(|path| path.replace("%M", platform.multiarch()))
        .filter(|path| exists(path))
        .collect();
    all.sort_by_key(|path| format!("{path}/"));
    let mut out: Vec<String> = vec![];
    for path in all {
        let is_known = |known: &String| path == *known || path.starts_with(&format!("{known}/"));
        if !out.last().is_some_and(is_known) {
            out.push(path);
        }
    }
    out
}

/// Sets the variables for what a tree of libraries has.
pub fn environment(tree: &Active, environment: &mut Variables) {
    if tree.platform != tree.target {
        return;
    }
    let mut groups: BTreeMap<Vec<String>, Vec<(String, String)>> = BTreeMap::new();
    for variable in variables(tree.platform, &|path| tree.path.join(path).exists()) {
        let value = tree.path.join(&variable.path).display().to_string();
        let RuntimeVariable { name, is_list, unless, .. } = variable;
        match is_list {
            _ if !unless.is_empty() => groups.entry(unless).or_default().push((name, value)),
            false => environment.set_default(&name, value),
            true if environment.listed(&name).contains(&value) => {}
            true => environment.list(&name, value),
        }
    }
    for group in groups.into_values() {
        environment.set_unless_the_user_does(group);
    }
}

/// Sets the variables for what programs need that are linked with the libc of a compiler's tree: the
/// directory of its conversion modules. Only the libc of a tree knows the variable.
pub fn of_compiler(tree: &Active, environment: &mut Variables) {
    let gconv = tree.path.join(format!("usr/lib/{}/gconv", tree.platform.multiarch()));
    if gconv.exists() {
        environment.set_default(GCONV_VARIABLE, gconv.display().to_string());
    }
}

/// The directories of modules that a list beside them names, `<directory>.cache`.
const MODULES: [&str; 3] =
    ["gdk-pixbuf-2.0/2.10.0/loaders", "gtk-2.0/2.10.0/immodules", "gtk-3.0/3.0.0/immodules"];

/// Makes the files in which libraries find plugins and data refer to the tree: the directories of
/// fontconfig become relative to its configuration, and gdk-pixbuf and GTK get the names of their
/// modules alone, which programs find where they find the other libraries.
///
/// # Errors
/// If a staged file cannot be read or written, or if the configuration is not as expected.
pub fn settle(tree: &mut Tree, blobs: &BlobDir, platform: Platform) -> Result<()> {
    for (from, to) in [
        ("<dir>/usr/share/fonts</dir>", "<dir prefix=\"relative\">../../usr/share/fonts</dir>"),
        ("<dir>/usr/local/share/fonts</dir>", ""),
    ] {
        replace(tree, blobs, "etc/fonts/fonts.conf", from, to)?;
    }
    let main = format!("usr/lib/{}", platform.multiarch());
    for modules in MODULES.map(|place| format!("{main}/{place}")) {
        let cache = MemberPath::literal(&format!("{modules}.cache"));
        let Some(Node::File { blob, .. }) = tree.get(&cache) else { continue };
        let text = String::from_utf8_lossy(&blob.read()?).replace(&format!("/{modules}/"), "");
        let blob = blobs.put(text.as_bytes())?;
        tree.put(cache, Node::File { blob, executable: false });
        for name in tree.entries(&modules).iter().filter(|name| name.ends_with(".so")) {
            let (at, from) = (format!("{main}/{name}"), format!("{modules}/{name}"));
            if tree.at(&at).is_none() {
                tree.link(MemberPath::literal(&at), &MemberPath::literal(&from));
            }
        }
    }
    Ok(())
}

/// What a library needs at run time and no package that it depends on brings: the beginning of the
/// library's name, what it needs, what does not work without it, and a package that brings it.
const NEEDS: &[(&str, &str, &str, &str)] = &[
    (
        "libQt6Gui.so.",
        "usr/lib/%M/qt6/plugins/platforms",
        "Qt 6 has no platform plugin, so its graphical programs do not start",
        "qt6-qpa-plugins",
    ),
    (
        "libQt5Gui.so.",
        "usr/lib/%M/qt5/plugins/platforms",
        "Qt 5 has no platform plugin, so its graphical programs do not start",
        "libqt5gui5",
    ),
    (
        "libEGL.so.",
        "usr/share/glvnd/egl_vendor.d",
        "EGL has no vendor, so programs find no display with it",
        "libegl-mesa0",
    ),
    (
        "libfontconfig.so.",
        "usr/share/fonts",
        "fontconfig finds no font in the tree",
        "fonts-dejavu-core",
    ),
    (
        "libxkbcommon.so.",
        "usr/share/X11/xkb",
        "xkbcommon has no keyboard layouts and reads those of the machine",
        "xkb-data",
    ),
];

/// Returns what the libraries of a tree need and the tree lacks.
pub fn lacks(tree: &Tree, platform: Platform) -> Vec<Ungenerated> {
    let main = format!("usr/lib/{}", platform.multiarch());
    let libraries = tree.entries(&main);
    let mut out = vec![];
    for (library, path, what, package) in NEEDS {
        let path = path.replace("%M", platform.multiarch());
        let there = tree.has_members(&MemberPath::literal(&path));
        if !there && libraries.iter().any(|name| name.starts_with(library)) {
            out.push(Ungenerated {
                what: (*what).to_owned(),
                hint: format!("add {package:?} to `packages` if programs need it"),
            });
        }
    }
    out
}
