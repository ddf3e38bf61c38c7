//! The recipe for CPython from Debian packages.

use std::cell::RefCell;

use super::api::{Active, Asked, Launchers, Recipe};
use super::bundled_pip;
use super::edit::{replace as edit, seal_constant, write};
use super::generated;
use super::layers::Layers;
use super::notes::Notes;
use super::prune::{self, Pruning};
use super::seal::{ProgramUse, Steps, seal};
use crate::environment::{LIBRARIES_VARIABLE, Variables};
use crate::error::{Error, Result};
use crate::facts::{Facts, PythonFacts};
use crate::lockfile::{Plan, PythonSpec, Spec};
use crate::model::{Kind, LIBRARIES_FILE, MemberPath, abi_tag, minor_version};
use crate::relocate::launcher::{Argv0, Instructions};
use crate::relocate::paths::{replace_all, seal as seal_bytes};
use crate::tree::{BlobDir, Node, Tree};

/// The recipe that this module describes.
pub struct Python;

/// The paths that are left out: Debian's packaging helpers, the static libpython (programs that
/// embed Python link the shared one), NIS, and maintenance tools.
const LEFT_OUT: &[&str] = &[
    "usr/bin/py3clean",
    "usr/bin/py3compile",
    "usr/bin/py3versions",
    "usr/bin/c_rehash",
    "usr/sbin/**",
    "usr/share/python3/**",
    "usr/lib/python3*/config-*/*.a",
    "usr/lib/python3*/config-*/*.o",
    "usr/lib/python3*/lib-dynload/nis.*",
    "usr/lib/ssl/misc/**",
    "etc/ca-certificates/**",
    "etc/ca-certificates.conf",
];

impl Recipe for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn version(&self) -> u32 {
        4
    }

    fn kind(&self) -> Kind {
        Kind::Python
    }

    fn left_out_paths(&self) -> Vec<&'static [&'static str]> {
        vec![prune::ALWAYS, LEFT_OUT]
    }

    /// The C headers belong to the compiler. NIS (the module `nis`, removed in Python 3.13) pulls
    /// in Kerberos.
    fn left_out_packages(&self) -> &'static [&'static str] {
        &["libc6-dev", "libc-dev", "zlib1g-dev", "libexpat1-dev", "libnsl2", "libtirpc3", "mailcap"]
    }

    /// Returns `python3.11` (or another version), at any position among the packages.
    fn principal<'p>(&self, packages: &[&'p str]) -> Option<&'p str> {
        let is_python = |name: &&&str| interpreter_version(name).is_some();
        packages.iter().find(is_python).or(packages.first()).copied()
    }

    fn spec(&self, asked: Asked) -> Spec {
        let of_package = asked.principal.as_deref().and_then(interpreter_version);
        let version = of_package.map_or_else(|| minor_version(&asked.version), str::to_owned);
        Spec::Python(PythonSpec {
            abi: abi_tag(&version),
            version,
            selection: asked.selection,
            programs: asked.programs,
        })
    }

    fn finish(
        &self,
        plan: &Plan,
        layers: Layers,
        blobs: &BlobDir,
        pruning: &Pruning,
        notes: &mut Notes,
    ) -> Result<Tree> {
        let launchers = |tree: &Tree| -> Launchers<'_> {
            let instructions = instructions(tree);
            Box::new(move |_| instructions.clone())
        };
        let unknown = RefCell::default();
        let steps = Steps {
            prepare: &|tree| {
                unknown.replace(prepare(plan, tree, blobs)?);
                Ok(())
            },
            launchers: &launchers,
            programs: ProgramUse::Started,
            redirect: false,
        };
        let tree = seal(plan, layers, blobs, pruning, &steps, notes)?;
        notes.ungenerated.extend(unknown.take());
        Ok(tree)
    }

    fn environment(&self, tree: &Active, environment: &mut Variables) {
        environment.path(format!("{}/bin", tree.path.display()));
        environment.unset(&["PYTHONHOME"]);
        environment.hide_site();
    }

    fn facts(&self, plan: &Plan, tree: &Tree) -> Result<Facts> {
        let version = version(tree)
            .ok_or_else(|| Error::build(format!("the tree of {} holds no Python", plan.name)))?;
        let there = |path: &str| tree.exists(&MemberPath::literal(path));
        let stdlib = format!("usr/lib/python{version}");
        let includes = [format!("usr/include/python{version}"), "usr/include".to_owned()];
        let scripts = format!("{stdlib}/venv/scripts");
        let dist_packages = "usr/lib/python3/dist-packages".to_owned();
        // The program behind the launcher, and every file that it reads.
        let real = format!("usr/bin/.python{version}.real");
        let inputs = ["etc", "usr/lib", "usr/share", &real];
        let mut inputs: Vec<String> =
            inputs.iter().filter(|p| there(p)).map(|p| (*p).to_owned()).collect();
        inputs.sort();
        Ok(Facts::Python(PythonFacts {
            interpreter: format!("usr/bin/python{version}"),
            cache_tag: format!("cpython-{}", version.replace('.', "")),
            abi: abi_tag(&version),
            includes: if there(&includes[0]) { includes.into() } else { vec![] },
            venv_scripts: there(&scripts).then_some(scripts),
            dist_packages: there(&dist_packages).then_some(dist_packages),
            inputs,
            stdlib,
            version,
        }))
    }
}

/// The certificates that the interpreter trusts if the user names no others.
const CERTIFICATES: &str = generated::BUNDLE;

/// A Python expression that yields the root of the tree in a module of the standard library that
/// imports `os`. `sys.base_prefix` is the root itself in a virtual environment made through `bin/`,
/// and `usr` in the interpreter alone. The location of the module gives the right result in both
/// cases.
const ROOT: &str = "os.path.realpath(__file__).rpartition('/usr/lib/python')[0]";

/// Makes the interpreter find its files relative to its own location, and no files of the host. Returns
/// what could not be changed.
fn prepare(plan: &Plan, tree: &mut Tree, blobs: &BlobDir) -> Result<Vec<generated::Ungenerated>> {
    let Some(version) = version(tree) else {
        return Err(Error::user(format!("the packages of {} hold no Python", plan.name))
            .about(plan.name.as_str())
            .hint("a toolchain of kind \"python\" needs python3.<x> among its packages"));
    };
    if let Some(spec) = plan.spec.python()
        && spec.version != version
    {
        return Err(Error::user(format!(
            "{} is locked as Python {}, and its inputs hold Python {version}",
            plan.name, spec.version
        ))
        .hint("name the package of one interpreter, python3.<x>, or give the archive's version"));
    }
    let lib = format!("usr/lib/python{version}");
    gather_certificates(tree, blobs)?;
    relocate_sysconfig(tree, blobs, &lib)?;
    headers(plan, tree, &version);

    // The directory ~/.local belongs to the host's interpreter.
    edit(
        tree,
        blobs,
        &format!("{lib}/site.py"),
        "ENABLE_USER_SITE = None",
        "ENABLE_USER_SITE = False",
    )?;
    edit(
        tree,
        blobs,
        &format!("{lib}/mimetypes.py"),
        "knownfiles = [\n",
        &format!("knownfiles = [{ROOT} + \"/etc/mime.types\"]\n_files_of_a_host = [\n"),
    )?;
    let gettext = format!("{lib}/gettext.py");
    if contains(tree, &gettext, "\"/usr/share/locale-langpack\"")? {
        edit(tree, blobs, &gettext, "\"/usr/share/locale-langpack\"", "localedir")?;
    }
    trust_own_certificates(tree, blobs, &lib)?;
    let unknown = [
        edit_if_known(
            tree,
            blobs,
            &format!("{lib}/locale.py"),
            (SET_LOCALE, SET_LOCALE_OR_STAND_IN),
            "setlocale fails for locales that the tree does not have",
        )?,
        edit_if_known(
            tree,
            blobs,
            &format!("{lib}/ctypes/util.py"),
            (FIND_LIBRARY, &find_own_libraries()),
            "ctypes.util.find_library asks programs of the machine",
        )?,
    ];
    let certifi = "usr/lib/python3/dist-packages/pip/_vendor/certifi/core.py";
    edit(
        tree,
        blobs,
        certifi,
        &format!("'/{CERTIFICATES}'"),
        &format!(
            "__import__('os').path.realpath(__file__).rpartition('/usr/lib/python')[0] + '/{CERTIFICATES}'"
        ),
    )?;
    bundled_pip::settle(tree, blobs)?;
    for library in tree.paths(|path, _| path.file_name().starts_with("libpython3.")) {
        // A program that embeds Python would find the modules of the host there.
        seal_constant(tree, blobs, &library, b"/usr\0", b"/.no\0")?;
    }
    relocate_tcl(tree, blobs)?;
    if tree.at(&format!("{lib}/EXTERNALLY-MANAGED")).is_some() {
        write(
            tree,
            blobs,
            &format!("{lib}/EXTERNALLY-MANAGED"),
            "[externally-managed]\nError=This interpreter is a pinned tree of cotter, which never changes.\n \n Packages go into a virtual environment:\n \n     python3 -m venv DIR\n     DIR/bin/python -m pip install ...\n",
        )?;
    }
    occupy_caches(tree, blobs, "usr/lib")?;
    // sysconfig searches below `sys.base_prefix`: see ROOT.
    for dir in ["include", "share"] {
        tree.link(MemberPath::literal(dir), &MemberPath::literal(&format!("usr/{dir}")));
    }
    for (name, target) in [
        ("python3", format!("python{version}")),
        ("python", "python3".to_owned()),
        ("pip", "pip3".to_owned()),
    ] {
        let (name, target) = (
            MemberPath::literal(&format!("usr/bin/{name}")),
            MemberPath::literal(&format!("usr/bin/{target}")),
        );
        if tree.get(&name).is_none() && tree.get(&target).is_some() {
            tree.link(name, &target);
        }
    }
    Ok(unknown.into_iter().flatten().collect())
}

/// A tree has the locale C.UTF-8 and no other, unless packages bring them. A program that takes the
/// user's settings (`setlocale(LC_ALL, "")`) would fail with every other one. Where the user wants
/// UTF-8, it gets C.UTF-8, as the programs of redirected trees do.
const SET_LOCALE: &str = "    return _setlocale(category, locale)\n";

/// What takes the place of [`SET_LOCALE`].
const SET_LOCALE_OR_STAND_IN: &str = r#"    try:
        return _setlocale(category, locale)
    except Error:
        import os
        names = (os.environ.get(name) for name in ('LC_ALL', 'LC_CTYPE', 'LANG'))
        wanted = next((name for name in names if name), '').partition('@')[0].partition('.')[2]
        if locale != '' or wanted.replace('-', '').lower() != 'utf8':
            raise
        return _setlocale(category, 'C.UTF-8')
"#;

/// Changes a module of the standard library. Its text may differ in a Python that this version of cotter
/// does not know: then it stays, and what does not work is returned.
fn edit_if_known(
    tree: &mut Tree,
    blobs: &BlobDir,
    path: &str,
    (from, to): (&str, &str),
    otherwise: &str,
) -> Result<Option<generated::Ungenerated>> {
    if contains(tree, path, from)? {
        edit(tree, blobs, path, from, to)?;
    } else if tree.at(path).is_some() {
        return Ok(Some(generated::Ungenerated {
            what: format!(
                "{path} has another text than in the known versions of Python, and stays as it is: {otherwise}"
            ),
            hint: "a newer cotter may know it".to_owned(),
        }));
    }
    Ok(None)
}

/// Python asks the ldconfig, the compiler and the linker of the machine where a library is. The loader
/// of the tree finds those of the tree, and those of the trees that a set of packages names.
const FIND_LIBRARY: &str = "            # See issue #9998\n            return _findSoname_ldconfig(name) or \\\n                   _get_soname(_findLib_gcc(name)) or _get_soname(_findLib_ld(name))\n";

/// Returns what takes the place of [`FIND_LIBRARY`].
fn find_own_libraries() -> String {
    format!(
        r#"            lib = {ROOT} + '/usr/lib'
            listed = os.environ.get('{LIBRARIES_VARIABLE}')
            if not listed:
                try:
                    with open(os.path.join(sys.prefix, '{LIBRARIES_FILE}')) as file:
                        listed = file.readline().strip()
                except OSError:
                    listed = ''
            found = []
            for directory in [lib, os.path.join(lib, sys.implementation._multiarch)] + listed.split(':'):
                if directory and os.path.isdir(directory):
                    found += [n for n in os.listdir(directory) if n.startswith('lib%s.so' % name)]
            # The name by which programs ask for a library has few numbers, and is no link for compilers.
            return min((n for n in found if '.so.' in n), key=len, default=None) or \
                next(iter(found), None)
"#
    )
}

/// Tcl and Tk look for their own modules in directories of the host, and in `lib` beside the
/// directory of the program. The former are sealed, and the latter leads to the modules.
fn relocate_tcl(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let is_tcl = |path: &MemberPath, node: &Node| {
        let names = ["libtcl8.", "libtk8."];
        matches!(node, Node::File { .. }) && names.iter().any(|n| path.file_name().starts_with(n))
    };
    for path in tree.paths(is_tcl) {
        let Some(Node::File { blob, executable }) = tree.get(&path) else { continue };
        let (mut bytes, executable) = (blob.read()?, *executable);
        // The list of the directories of packages is one constant.
        let list = replace_all(&mut bytes, b" /usr/", b" /.no/");
        if seal_bytes(&mut bytes) + list > 0 {
            tree.put(path, Node::File { blob: blobs.put(&bytes)?, executable });
        }
    }
    for name in tree.entries("usr/share/tcltk") {
        // Debian names its own directories of modules there.
        let modules = format!("usr/share/tcltk/{name}/tm.tcl");
        for (from, to) in [
            (
                format!("{{/usr/share/tcltk/{name}/tcl8}}"),
                "[::list [file join [info library] tcl8]]",
            ),
            (
                "{/usr/lib/tcltk /usr/share/tcltk}".to_owned(),
                "[::list [file dirname [info library]]]",
            ),
        ] {
            if contains(tree, &modules, &from)? {
                edit(tree, blobs, &modules, &from, to)?;
            }
        }
        let link = MemberPath::literal(&format!("usr/lib/{name}"));
        if !tree.exists(&link) {
            tree.link(link, &MemberPath::literal(&format!("usr/share/tcltk/{name}")));
        }
    }
    Ok(())
}

/// Puts an empty file in the place of each `__pycache__` directory. Root may write even to
/// read-only directories, and an interpreter that root starts would write its bytecode into the
/// tree. The interpreter treats the file as a cache that cannot be written, and continues.
pub fn occupy_caches(tree: &mut Tree, blobs: &BlobDir, below: &str) -> Result<()> {
    let modules = tree.paths(|path, node| {
        matches!(node, Node::File { .. })
            && path.is_under(below)
            && path.file_name().ends_with(".py")
    });
    let mut dirs: Vec<MemberPath> = modules.iter().filter_map(MemberPath::parent).collect();
    dirs.dedup();
    let nothing = blobs.put(b"")?;
    for dir in dirs {
        // An interpreter that was built from source brings its bytecode.
        if tree.has_members(&MemberPath::literal(&format!("{dir}/__pycache__"))) {
            continue;
        }
        tree.put(
            MemberPath::literal(&format!("{dir}/__pycache__")),
            Node::File { blob: nothing.clone(), executable: false },
        );
    }
    Ok(())
}

/// Whether a text file of the tree contains a text. This detects changes that Debian made in some
/// versions only.
fn contains(tree: &Tree, path: &str, text: &str) -> Result<bool> {
    match tree.file(&MemberPath::literal(path)) {
        Some((_, blob)) => Ok(String::from_utf8_lossy(&blob.read()?).contains(text)),
        None => Ok(false),
    }
}

/// Returns the version, such as `3.11`, from the interpreter's file name.
fn version(tree: &Tree) -> Option<String> {
    let found = tree.paths(|path, node| {
        matches!(node, Node::File { executable: true, .. })
            && path.is_under("usr/bin")
            && interpreter_version(path.file_name()).is_some()
    });
    found.last().and_then(|p| interpreter_version(p.file_name()).map(str::to_owned))
}

fn interpreter_version(name: &str) -> Option<&str> {
    name.strip_prefix("python")
        .filter(|v| v.starts_with("3.") && v[2..].bytes().all(|b| b.is_ascii_digit()))
}

/// Writes one file of all certificates, which takes the place of the single files.
fn gather_certificates(tree: &mut Tree, blobs: &BlobDir) -> Result<()> {
    let bundle = generated::bundle(tree)?;
    for path in generated::certificates(tree) {
        tree.remove(&path);
    }
    if !bundle.is_empty() {
        let blob = blobs.put(&bundle)?;
        tree.put(MemberPath::literal(CERTIFICATES), Node::File { blob, executable: false });
    }
    Ok(())
}

/// The variables recorded by the build name `/usr`. They are rewritten at import time to the tree's
/// location at that moment.
fn relocate_sysconfig(tree: &mut Tree, blobs: &BlobDir, lib: &str) -> Result<()> {
    let is_data = |path: &MemberPath, node: &Node| {
        matches!(node, Node::File { .. })
            && path.parent().is_some_and(|p| p.as_str() == lib)
            && path.file_name().starts_with("_sysconfigdata")
    };
    for path in tree.paths(is_data) {
        let Some(Node::File { blob, .. }) = tree.get(&path) else { continue };
        let mut text = blob.read()?;
        text.extend_from_slice(
            b"\n\ndef _relocate():\n    import os\n    usr = os.path.realpath(__file__).rpartition('/lib/python')[0]\n    for key, value in build_time_vars.items():\n        if isinstance(value, str):\n            value = (value + ' ').replace('/usr/', usr + '/').replace('/usr ', usr + ' ').replace(':/etc/zoneinfo', '')\n            build_time_vars[key] = value[:-1]\n\n\n_relocate()\ndel _relocate\n",
        );
        let blob = blobs.put(&text)?;
        tree.put(path, Node::File { blob, executable: false });
    }
    Ok(())
}

/// Debian's pyconfig.h only includes the file of the architecture, through the host's include path.
fn headers(plan: &Plan, tree: &mut Tree, version: &str) {
    let own = MemberPath::literal(&format!(
        "usr/include/{}/python{version}/pyconfig.h",
        plan.platform.multiarch()
    ));
    if let Some(node) = tree.get(&own).cloned() {
        tree.put(MemberPath::literal(&format!("usr/include/python{version}/pyconfig.h")), node);
    }
}

/// Makes the module `ssl` trust the certificates of the tree, unless SSL_CERT_FILE or SSL_CERT_DIR
/// name others.
fn trust_own_certificates(tree: &mut Tree, blobs: &BlobDir, lib: &str) -> Result<()> {
    let path = format!("{lib}/ssl.py");
    edit(
        tree,
        blobs,
        &path,
        "    parts = _ssl.get_default_verify_paths()\n",
        &format!(
            "    parts = _ssl.get_default_verify_paths()\n    parts = (parts[0], {ROOT} + '/{CERTIFICATES}') + parts[2:]\n"
        ),
    )?;
    edit(
        tree,
        blobs,
        &path,
        "    def load_default_certs(self, purpose=Purpose.SERVER_AUTH):\n",
        "    def set_default_verify_paths(self):\n        super().set_default_verify_paths()\n        if not (os.environ.get('SSL_CERT_FILE') or os.environ.get('SSL_CERT_DIR')):\n            own = get_default_verify_paths().cafile\n            if own:\n                self.load_verify_locations(own)\n\n    def load_default_certs(self, purpose=Purpose.SERVER_AUTH):\n",
    )
}

/// Returns the instructions by which the launchers start the tree's programs.
fn instructions(tree: &Tree) -> Instructions {
    let mut default = vec![];
    if tree.exists(&MemberPath::literal("usr/share/zoneinfo")) {
        default.push("TZDIR=%R/usr/share/zoneinfo".to_owned());
    }
    // Up to bookworm, the descriptions of common terminals are in /lib. The empty element at the end
    // stands for a program's built-in directories. It serves child processes that do not come from
    // the tree.
    if tree.exists(&MemberPath::literal("usr/lib/terminfo")) {
        default.push("TERMINFO_DIRS=%R/usr/lib/terminfo:%R/usr/share/terminfo:".to_owned());
    } else if tree.exists(&MemberPath::literal("usr/share/terminfo")) {
        default.push("TERMINFO_DIRS=%R/usr/share/terminfo:".to_owned());
    }
    Instructions {
        argv0: Argv0::Found,
        drop: vec!["PYTHONHOME".to_owned(), "PYTHONPLATLIBDIR".to_owned()],
        default,
        more_libraries: Some(LIBRARIES_VARIABLE),
        keep_library_path: true,
        ..Instructions::default()
    }
}
