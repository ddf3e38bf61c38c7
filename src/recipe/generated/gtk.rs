//! `immodules.cache`, in which GTK finds its input methods. Debian lets `gtk-query-immodules` load the
//! modules and ask them. What the modules answer is in their code, so it is a table here.

use super::api::{Generated, names};
use crate::error::Result;
use crate::model::MemberPath;
use crate::tree::{BlobDir, Node, Tree};

/// The versions of GTK: the directory of the modules below that of the libraries, the domain of their
/// translations, and the program that lists them.
const VERSIONS: &[(&str, &str, &str)] = &[
    ("gtk-2.0/2.10.0/immodules", "gtk20", "libgtk2.0-0/gtk-query-immodules-2.0"),
    ("gtk-3.0/3.0.0/immodules", "gtk30", "libgtk-3-0/gtk-query-immodules-3.0"),
];

/// The methods: the name of the module, the name of the method, its title, and the languages for which
/// it is the default.
const METHODS: &[(&str, &str, &str, &str)] = &[
    ("am-et", "am_et", "Amharic (EZ+)", "am"),
    ("broadway", "broadway", "Broadway", ""),
    ("cedilla", "cedilla", "Cedilla", "az:ca:co:fr:gv:oc:pt:sq:tr:wa"),
    ("cyrillic-translit", "cyrillic_translit", "Cyrillic (Transliterated)", ""),
    ("ibus", "ibus", "IBus (Intelligent Input Bus)", "ja:ko:zh:*"),
    ("inuktitut", "inuktitut", "Inuktitut (Transliterated)", "iu"),
    ("ipa", "ipa", "IPA", ""),
    ("multipress", "multipress", "Multipress", ""),
    ("thai", "thai", "Thai-Lao", "lo:th"),
    ("ti-er", "ti_er", "Tigrigna-Eritrean (EZ+)", "ti"),
    ("ti-et", "ti_et", "Tigrigna-Ethiopian (EZ+)", "ti"),
    ("viqr", "viqr", "Vietnamese (VIQR)", ""),
    ("wayland", "wayland", "Wayland", ""),
    ("xim", "xim", "X Input Method", "ko:ja:th:zh"),
];

/// Returns where the title of a method is translated: the domain, and the directory.
fn translations<'d>(method: &str, domain: &'d str) -> (&'d str, &'d str) {
    match (method, domain) {
        ("ibus", _) => ("ibus", ""),
        ("multipress", "gtk20") => (domain, ""),
        _ => (domain, "/usr/share/locale"),
    }
}

/// The generator.
///
/// # Errors
/// If the staging directory cannot be written.
pub fn generate(tree: &Tree, blobs: &BlobDir) -> Result<Generated> {
    let mut out = Generated::default();
    for (place, domain, program) in VERSIONS {
        let ending = format!("/{place}");
        let is_place = |path: &MemberPath, node: &Node| {
            matches!(node, Node::Directory) && path.as_str().ends_with(&ending)
        };
        for directory in tree.paths(is_place) {
            let libraries = directory.as_str().trim_end_matches(&ending);
            let mut cache = "# The input methods of this tree for GTK.\n\n".to_owned();
            for module in names(tree, directory.as_str(), ".so") {
                let name = module.strip_prefix("im-").and_then(|n| n.strip_suffix(".so"));
                let Some((_, method, title, languages)) =
                    METHODS.iter().find(|(known, ..)| Some(*known) == name)
                else {
                    out.lacks(
                        format!("cotter does not know the module {module} of GTK: programs do not offer its input method"),
                        format!("write a list with the tree's own {libraries}/{program} and name it in GTK_IM_MODULE_FILE"),
                    );
                    continue;
                };
                let (domain, translations) = translations(method, domain);
                cache.push_str(&format!(
                    "\"/{directory}/{module}\" \n\"{method}\" \"{title}\" \"{domain}\" \"{translations}\" \"{languages}\" \n\n"
                ));
            }
            out.file(blobs, &format!("{directory}.cache"), cache.as_bytes())?;
        }
    }
    Ok(out)
}
