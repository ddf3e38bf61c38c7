//! Copies and links that the scripts of single packages make from files of the package.

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Tree};

/// Files that are copied to their place in `etc` (by `ucf` or `cp`): the template, and the place.
const COPIES: &[(&str, &str)] = &[
    ("usr/lib/R/etc/Renviron.ucf", "etc/R/Renviron"),
    ("usr/share/readline/inputrc", "etc/inputrc"),
];

/// Links: the place, and what it leads to. A link is made if the tree has its target.
const LINKS: &[(&str, &str)] = &[
    // fontconfig-config; the names differ between the versions of Debian.
    (
        "etc/fonts/conf.d/10-hinting-slight.conf",
        "usr/share/fontconfig/conf.avail/10-hinting-slight.conf",
    ),
    (
        "etc/fonts/conf.d/70-no-bitmaps-except-emoji.conf",
        "usr/share/fontconfig/conf.avail/70-no-bitmaps-except-emoji.conf",
    ),
    (
        "etc/lighttpd/conf-enabled/99-unconfigured.conf",
        "etc/lighttpd/conf-available/99-unconfigured.conf",
    ),
    ("etc/nginx/sites-enabled/default", "etc/nginx/sites-available/default"),
    ("usr/lib/R/etc/Renviron", "etc/R/Renviron"),
    ("etc/apache2/sites-enabled/000-default.conf", "etc/apache2/sites-available/000-default.conf"),
];

/// The modules of nginx whose position in the order of loading is not 50. The others need nothing
/// of another module.
const NGINX_ORDER: &[(&str, &str)] = &[("mod-http-ndk.conf", "10"), ("mod-stream-", "70")];

/// The modules of Apache that its package enables.
const APACHE_MODULES: &[&str] = &[
    "access_compat",
    "alias",
    "auth_basic",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_host",
    "authz_user",
    "autoindex",
    "deflate",
    "dir",
    "env",
    "filter",
    "mime",
    "mpm_event",
    "negotiation",
    "reqtimeout",
    "setenvif",
    "status",
];

/// The parts of the configuration of Apache that its package enables.
const APACHE_CONFIGURATIONS: &[&str] =
    &["charset", "localized-error-pages", "other-vhosts-access-log", "security", "serve-cgi-bin"];

/// The generator.
///
/// # Errors
/// If a staged file cannot be read or written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    let has = |path: &str| tree.file(&MemberPath::literal(path)).is_some();
    for (from, to) in COPIES {
        if let Some((_, blob)) = tree.file(&MemberPath::literal(from)) {
            out.file(blobs, to, &blob.read()?)?;
        }
    }
    let copied = |path: &str| COPIES.iter().any(|(from, to)| *to == path && has(from));
    for (at, target) in LINKS {
        if has(target) || copied(target) {
            out.link(at, target);
        }
    }
    // Before trixie, the file had a shorter name.
    let (old, new) = ("70-no-bitmaps.conf", "70-no-bitmaps-except-emoji.conf");
    let available = "usr/share/fontconfig/conf.avail";
    if has(&format!("{available}/{old}")) && !has(&format!("{available}/{new}")) {
        out.link(&format!("etc/fonts/conf.d/{old}"), &format!("{available}/{old}"));
    }
    let modules = "usr/share/nginx/modules-available";
    for name in names(tree, modules, ".conf") {
        let special = NGINX_ORDER.iter().find(|(prefix, _)| name.starts_with(prefix));
        let order = special.map_or("50", |(_, order)| order);
        out.link(
            &format!("etc/nginx/modules-enabled/{order}-{name}"),
            &format!("{modules}/{name}"),
        );
    }
    for (kind, enabled) in [("mods", APACHE_MODULES), ("conf", APACHE_CONFIGURATIONS)] {
        for name in enabled.iter().flat_map(|n| [format!("{n}.load"), format!("{n}.conf")]) {
            let target = format!("etc/apache2/{kind}-available/{name}");
            if has(&target) {
                out.link(&format!("etc/apache2/{kind}-enabled/{name}"), &target);
            }
        }
    }
    Ok(out)
}
