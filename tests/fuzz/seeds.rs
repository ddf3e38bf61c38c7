//! The inputs from which mutations start. All of them are made here.

use crate::archive::{Tar, bzip2, gzip, xz, zip, zstd};
use crate::targets::{public_key, signed};
use cotter::internals::nar::NarVisitor as _;
use cotter::internals::nar::NarWriter;

pub const TAR_WORDS: &[&str] = &[
    "././@LongLink",
    "ustar\x0000",
    "ustar  \0",
    "../",
    "usr/",
    "0",
    "1",
    "2",
    "5",
    "L",
    "K",
    "x",
    "g",
    "S",
    "30 path=usr/bin/a\n",
    "22 linkpath=bin/a\n",
    "12 size=99\n",
    "77777777777",
    "postinst",
    "./",
];
pub const NAR_WORDS: &[&str] = &[
    "\x01\0\0\0\0\0\0\0(\0\0\0\0\0\0\0",
    "\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0",
    "\x09\0\0\0\0\0\0\0directory\0\0\0\0\0\0\0",
    "\x05\0\0\0\0\0\0\0entry\0\0\0",
    "\x0a\0\0\0\0\0\0\0executable\0\0\0\0\0\0",
    "..",
    "a/b",
];
pub const ZIP_WORDS: &[&str] = &[
    "PK\x01\x02",
    "PK\x03\x04",
    "PK\x05\x06",
    "PK\x06\x06",
    "PK\x06\x07",
    "../",
    "demo-1.0.dist-info/RECORD",
    "\x08\0",
];
pub const RECORD_WORDS: &[&str] = &[
    "@WHEEL",
    "@run",
    "demo-1.0.data/",
    "sha256=",
    ",,\n",
    "\"",
    "console_scripts",
    "[",
    "Name: ",
    "\u{ff}",
    "../",
];
pub const RECIPE_WORDS: &[&str] = &[
    "update-alternatives --install ",
    "--slave ",
    "/usr/bin/awk",
    "; priority=",
    "<glob pattern=\"",
    "<match offset=\"0:99\" type=\"string\" value=\"",
    "\\x",
    "#!",
    "/usr/lib/",
    "GROUP ( ",
    "prefix=/usr\n",
    "Libs: -L",
    "../",
    "\u{1}",
    "usr/lib/php/8.2/",
    "etc/",
    "2.10.0/loaders/",
    "for x in ",
    "done\n",
];
pub const RELEASE_WORDS: &[&str] = &[
    "-----BEGIN PGP SIGNED MESSAGE-----\n",
    "-----BEGIN PGP SIGNATURE-----\n",
    "-----END PGP SIGNATURE-----\n",
    "Hash: SHA256\n",
    "- ",
    "SHA256:\n",
    "Date: ",
    "Valid-Until: ",
    "Sat, 11 Jul 2026 10:16:37 UTC",
    "Suite: test\n",
    "=abcd",
    "Acquire-By-Hash: yes\n",
];
pub const PACKAGE_WORDS: &[&str] = &[
    "Package: a\n",
    "Depends: ",
    "Pre-Depends: ",
    "Provides: b (= 1)",
    "Conflicts: ",
    "Breaks: ",
    "a | b, ",
    "b:any",
    " (>= 1)",
    " (<< 2~)",
    "[amd64]",
    "<!nocheck>",
    "Version: 1:2.0~a-1\n",
    "Size: ",
    "Priority: required\n",
    "\n\n",
    "\n ",
    "${a}",
];
pub const LOCK_WORDS: &[&str] = &[
    "version = 2\n",
    "[[tree]]\n",
    "[tree.fingerprint]\n",
    "sha256-",
    "<<<<<<< a\n",
    "=======\n",
    ">>>>>>> b\n",
    "mirror://debian/",
    "= []",
    "kind = \"cc\"\n",
    "\"\"\"",
    "'''",
    "\\u0000",
    "inputs = [",
    "= true",
    "= 18446744073709551615",
    "= -1",
];
pub const MANIFEST_WORDS: &[&str] = &[
    "[toolchains.x]\n",
    "kind = \"cc\"\n",
    "source = \"debian\"\n",
    "source = \"archive\"\n",
    "suite = [\"bookworm\"]\n",
    "packages = [\"a\"]\n",
    "[settings]\n",
    "[emit.bazel]\n",
    "[requirements.x]\n",
    "inputs = [\"a.txt\"]\n",
    "[mirrors]\n",
    "[audit]\n",
    "platforms = [\"x86_64-linux\"]\n",
    "url = \"https://a.example/%v\"\n",
    "{ ",
    " }",
    "[[",
    "= 1e400",
    "= 1979-05-27",
    "\"\"\"",
    "'''",
    "\\u0000",
];
pub const REQUIREMENT_WORDS: &[&str] = &[
    "==",
    "--hash=sha256:",
    "    # via ",
    "git+https://",
    " @ ",
    "-r ",
    "\\\n",
    "[extra]",
    " ; python_version",
    " #",
];
pub const AQUERY_WORDS: &[&str] = &[
    "\"actions\":[",
    "\"arguments\":[",
    "\"pathFragments\":[",
    "\"parentId\":",
    "\"id\":",
    "-I/usr/include",
    "/bin/sh",
    "-c",
    "{}",
    "[]",
    "null",
    "--action_env=PATH",
    "build rc options for 'build' from x:",
];
pub const SHELL_WORDS: &[&str] = &[
    "$(",
    ")",
    "`",
    "<<EOF\n",
    "EOF\n",
    "case x in\n",
    "esac\n",
    "if ",
    "then ",
    "fi\n",
    "for i in ",
    "do ",
    "done\n",
    "() {",
    "}",
    "&&",
    "||",
    ";;",
    "PATH=",
    "export ",
    "command -v ",
    "\"",
    "'",
    "\\",
    "$((",
    "${x#",
    "repository_ctx.which(",
];
pub const TRACE_WORDS: &[&str] = &[
    "execve(\"",
    " = 0\n",
    " = -1 ENOENT",
    "clone(",
    "openat(AT_FDCWD</w>, \"",
    " <unfinished ...>\n",
    "<... openat resumed>",
    "+++ exited with 0 +++\n",
    "\\\"",
    "fchdir(3</w>)",
    "1 ",
    "18446744073709551615 ",
];

fn small_tar() -> Vec<u8> {
    Tar::new()
        .dir("usr/")
        .dir("usr/bin/")
        .program("usr/bin/a", b"#!/bin/sh\n")
        .file("usr/share/data", b"data")
        .symlink("usr/bin/b", "a")
        .hard_link("usr/share/again", "usr/share/data")
        .finish()
}

/// A tree with one node of each kind.
pub fn nars() -> Vec<Vec<u8>> {
    let mut nar = NarWriter::new(vec![]).unwrap();
    let buffer = &mut [0; 64];
    nar.begin_directory().unwrap();
    nar.begin_entry("bin").unwrap();
    nar.begin_directory().unwrap();
    nar.begin_entry("run").unwrap();
    nar.file(true, 9, &mut &b"#!/bin/sh"[..], buffer).unwrap();
    nar.end_entry().unwrap();
    nar.end_directory().unwrap();
    nar.end_entry().unwrap();
    nar.begin_entry("empty").unwrap();
    nar.file(false, 0, &mut &b""[..], buffer).unwrap();
    nar.end_entry().unwrap();
    nar.begin_entry("link").unwrap();
    nar.symlink("bin/run").unwrap();
    nar.end_entry().unwrap();
    nar.end_directory().unwrap();
    let tree = nar.into_inner();
    let mut nar = NarWriter::new(vec![]).unwrap();
    nar.file(false, 5, &mut &b"alone"[..], buffer).unwrap();
    vec![tree, nar.into_inner()]
}

/// The same, compressed in each way.
pub fn compressed_nars() -> Vec<Vec<u8>> {
    let tree = nars().swap_remove(0);
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(vec![]);
    std::io::Write::write_all(&mut lz4, &tree).unwrap();
    let all = [xz(&tree), zstd(&tree), gzip(&tree), bzip2(&tree), lz4.finish().unwrap()];
    all.into_iter().chain([tree]).collect()
}

pub fn tars() -> Vec<Vec<u8>> {
    let long = format!("usr/{}", "long/".repeat(30));
    let plain = small_tar();
    let gnu = Tar::new()
        .raw("././@LongLink", b'L', 0o644, "", long.as_bytes(), long.len() as u64)
        .file("usr/long", b"x")
        .raw("././@LongLink", b'K', 0o644, "", b"usr/bin/a\0", 10)
        .symlink("usr/link", "a")
        .finish();
    let pax = Tar::new()
        .raw("x", b'x', 0o644, "", b"30 path=usr/bin/a-longer-name\n", 30)
        .file("usr/a", b"x")
        .finish();
    vec![gzip(&plain), xz(&plain), zstd(&plain), bzip2(&plain), plain, gnu, pax]
}

/// A Debian package with plain members.
fn deb_of(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar", control), ("data.tar", data)]
    {
        out.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len())
                .as_bytes(),
        );
        out.extend(content);
    }
    out
}

fn control(postinst: &str) -> Vec<u8> {
    Tar::new()
        .file("./control", b"Package: a\n")
        .program("./postinst", postinst.as_bytes())
        .finish()
}

pub fn debs() -> Vec<Vec<u8>> {
    let postinst = "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/x x /usr/bin/a 10\n";
    vec![
        deb_of(&control(postinst), &small_tar()),
        deb_of(&Tar::new().finish(), &Tar::new().finish()),
    ]
}

pub fn zips() -> Vec<Vec<u8>> {
    let mut out = wheels();
    out.push(zip(&[
        ("a/", 0o040_755, b"", 0),
        ("a/b", 0o100_755, b"content", 7),
        ("a/c", 0o120_777, b"b", 1),
    ]));
    out
}

pub fn wheels() -> Vec<Vec<u8>> {
    let metadata = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";
    let wheel = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let points = b"[console_scripts]\ndemo = demo:main\n";
    let members: [(&str, &[u8]); 6] = [
        ("demo/__init__.py", b"x = 1\n"),
        ("demo-1.0.data/scripts/run", b"#!python\nprint(1)\n"),
        ("demo-1.0.data/data/share/x", b"x"),
        ("demo-1.0.dist-info/WHEEL", wheel),
        ("demo-1.0.dist-info/METADATA", metadata),
        ("demo-1.0.dist-info/entry_points.txt", points),
    ];
    let mut record = String::new();
    for (name, content) in members {
        use base64::Engine as _;
        let sum = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(cotter::internals::Digest::of(content).as_bytes());
        record += &format!("{name},sha256={sum},{}\n", content.len());
    }
    record += "demo-1.0.dist-info/RECORD,,\n";
    let mut all: Vec<(&str, u32, &[u8], u32)> = members
        .iter()
        .map(|(name, content)| (*name, 0o100_644, *content, content.len() as u32))
        .collect();
    all.push(("demo-1.0.dist-info/RECORD", 0o100_644, record.as_bytes(), record.len() as u32));
    vec![zip(&all)]
}

pub fn records() -> Vec<Vec<u8>> {
    let record = "demo/__init__.py,@__init__.py,6\ndemo-1.0.data/scripts/run,@run,\ndemo-1.0.dist-info/WHEEL,@WHEEL,\ndemo-1.0.dist-info/METADATA,@METADATA,\ndemo-1.0.dist-info/entry_points.txt,@entry_points.txt,\ndemo-1.0.dist-info/RECORD,,\n";
    let (wheel, metadata) =
        ("Wheel-Version: 1.0\nRoot-Is-Purelib: true\n", "Name: demo\nVersion: 1.0\n");
    let points = "[console_scripts]\ndemo = demo.a:main [x]\n[gui_scripts]\nwin=demo:gui\n";
    vec![[record.as_bytes(), wheel.as_bytes(), metadata.as_bytes(), points.as_bytes()].join(&0xff)]
}

/// A small program or library: a note, an interpreter, a segment and a dynamic section, with a string table.
pub fn image(strings: &str, entries: &[(u64, u64)], interpreter: bool) -> Vec<u8> {
    const HEADER: usize = 56;
    let kinds: &[u32] = if interpreter { &[4, 3, 1, 2] } else { &[4, 1, 2] };
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    let strings = format!("\0{strings}");
    let dynamic_at = 64 + kinds.len() * HEADER;
    let length = (entries.len() + 4) * 16;
    let loader_at = dynamic_at + length;
    let strings_at = loader_at + loader.len();
    let end = strings_at + strings.len();
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(64, 0);
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &3u16.to_le_bytes());
    put(18, &62u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &(HEADER as u16).to_le_bytes());
    put(56, &(kinds.len() as u16).to_le_bytes());
    for kind in kinds {
        let (offset, size) = match kind {
            2 => (dynamic_at, length),
            1 => (0, end),
            _ => (loader_at, loader.len()),
        };
        out.extend([kind.to_le_bytes(), 5u32.to_le_bytes()].concat());
        for value in [offset, offset, offset, size, size, 8] {
            out.extend((value as u64).to_le_bytes());
        }
    }
    let own = [(5u64, strings_at as u64), (10, strings.len() as u64)];
    for (tag, value) in own.iter().chain(entries) {
        out.extend([tag.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.resize(loader_at, 0);
    out.extend(loader);
    out.extend(strings.as_bytes());
    out
}

fn program() -> Vec<u8> {
    image(
        "libc.so.6\0/usr/lib/x:$ORIGIN/../y\0dlopen\0iconv_open\0/usr/share/x/data\0",
        &[(1, 1), (29, 11), (21, 0)],
        true,
    )
}

fn library() -> Vec<u8> {
    image("libx.so\0/usr/lib/x86_64-linux-gnu/x\0/etc/x.conf\0", &[(14, 1), (15, 9)], false)
}

/// A library that exports a symbol with the name of a plugin of Graphviz.
fn plugin() -> Vec<u8> {
    let mut bytes = include_bytes!("../../launcher/redirect-x86_64.so").to_vec();
    let at =
        bytes.windows(12).position(|w| w == b"posix_spawnp").expect("it exports this function");
    bytes[at..at + 12].copy_from_slice(b"_LTX_library");
    bytes
}

pub fn elfs() -> Vec<Vec<u8>> {
    let launcher = include_bytes!("../../launcher/launcher-x86_64").to_vec();
    let redirect = include_bytes!("../../launcher/redirect-x86_64.so").to_vec();
    vec![
        program(),
        library(),
        launcher,
        redirect,
        [&b"#!/usr/bin/env python3\n"[..], b"/usr/bin/x"].concat(),
    ]
}

pub fn scripts() -> Vec<Vec<u8>> {
    [
        "#!/bin/sh -e\nexit\n",
        "#!/usr/bin/env -S python3 -E\n",
        "#! /usr/bin/env A=b sh\n",
        "#!sh\n",
        "#!/usr/bin/../bin/sh\n",
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}

/// A package with files for each part of the recipes and of the generators.
pub fn package_files() -> Vec<Vec<u8>> {
    let mime = "<?xml version=\"1.0\"?>\n<mime-info><mime-type type=\"text/x-a\"><alias type=\"text/a\"/><sub-class-of type=\"text/plain\"/><glob pattern=\"*.a\" weight=\"60\" case-sensitive=\"true\"/><glob pattern=\"A[0-9]\"/><magic priority=\"60\"><match offset=\"0:64\" type=\"string\" value=\"\\x7fA\\101\" mask=\"0xff00ff\"><match offset=\"4\" type=\"big32\" value=\"0x1234\"/></match></magic><root-XML namespaceURI=\"u\" localName=\"l\"/></mime-type></mime-info>";
    let general = Tar::new()
        .program("./usr/bin/prog", &program())
        .program("./usr/bin/dash", &program())
        .symlink("./usr/bin/sh", "dash")
        .program("./usr/bin/script", b"#!/bin/sh\nexec /usr/bin/prog /usr/share/x/data\n")
        .symlink("./usr/bin/alias", "/usr/share/x/run.sh")
        .program("./usr/share/x/run.sh", b"#!/usr/bin/env sh\n")
        .file("./lib/x86_64-linux-gnu/libc.so.6", &library())
        .file("./lib64/ld-linux-x86-64.so.2", &library())
        .file("./usr/lib/x86_64-linux-gnu/libx.so.1", &library())
        .file("./usr/lib/x86_64-linux-gnu/liby.so", b"/* GNU ld script */\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 AS_NEEDED ( /usr/lib/x86_64-linux-gnu/libx.so.1 ) )\n")
        .file("./usr/lib/x86_64-linux-gnu/pkgconfig/x.pc", b"prefix=/usr\nlibdir=${prefix}/lib/x86_64-linux-gnu\nName: x\nVersion: 1\nRequires: y >= 1\nLibs: -L${libdir} -lx\nCflags: -I${prefix}/include\n")
        .file("./usr/lib/x86_64-linux-gnu/cmake/X/XTargets.cmake", b"get_filename_component(_IMPORT_PREFIX \"${CMAKE_CURRENT_LIST_FILE}\" PATH)\nset(_IMPORT_PREFIX \"/usr\")\n")
        .file("./usr/include/x.h", b"#define X \"/usr/share/x\"\n");
    let generated = Tar::new()
        .file("./usr/share/mime/packages/a.xml", mime.as_bytes())
        .file(
            "./usr/share/ca-certificates/mozilla/A (b).crt",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .file("./usr/lib/jvm/java/release", b"JAVA_VERSION=\"17\"\n")
        .file("./usr/lib/php/8.2/php.ini-production.cli", b"[PHP]\n")
        .file("./usr/lib/php/8.2/sapi/cli", b"")
        .file("./usr/share/php8.2-xml/xml/dom.ini", b"; priority=15\nextension=dom.so\n")
        .file("./etc/php/8.2/mods-available/x.ini", b"; priority=20\nextension=x.so\n")
        .file(
            "./usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders/libpixbufloader-xpm.so",
            &library(),
        )
        .file("./usr/lib/x86_64-linux-gnu/graphviz/libgvplugin_core.so.6", &plugin())
        .file("./etc/nginx/sites-available/default", b"server {}\n")
        .file("./usr/share/nginx/modules-available/mod-http-ndk.conf", b"load_module x;\n")
        .file("./etc/apache2/mods-available/alias.load", b"# Depends: mime\nLoadModule alias x\n")
        .file("./usr/share/X11/xkb/x", b"");
    let tex = Tar::new()
        .file("./usr/share/texlive/texmf-dist/web2c/texmf.cnf", b"TEXMF = x\n")
        .file("./etc/texmf/texmf.d/00debian.cnf", b"A = b\n")
        .file("./var/lib/tex-common/fmtutil-cnf/texlive/10a.cnf", b"pdflatex pdftex language.dat -translate-file=x *pdflatex.ini\n")
        .file("./var/lib/tex-common/fontmap-cfg/10b.cfg", b"Map a.map\nMixedMap b.map\n")
        .file("./var/lib/tex-common/hyphen-cnf/10c.cnf", b"name=german synonyms=ngerman file=loadhyph-de.tex lefthyphenmin=2 righthyphenmin=2 databases=dat,def\n")
        .file("./usr/share/texlive/texmf-dist/fonts/map/a.map", b"a b <c.pfb\n");
    let python = Tar::new()
        .program("./usr/bin/python3.11", &program())
        .symlink("./usr/bin/python3", "python3.11")
        .file("./usr/lib/python3.11/os.py", b"")
        .file("./usr/lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py", b"build_time_vars = {'CC': 'x86_64-linux-gnu-gcc', 'LIBDIR': '/usr/lib/x86_64-linux-gnu'}\n")
        .file("./usr/include/python3.11/pyconfig.h", b"#if defined(__x86_64__)\n# include <x86_64-linux-gnu/python3.11/pyconfig.h>\n#endif\n")
        .file("./lib64/ld-linux-x86-64.so.2", &library())
        .file("./lib/x86_64-linux-gnu/libc.so.6", &library());
    let compiler = Tar::new()
        .program("./usr/bin/x86_64-linux-gnu-gcc-12", &program())
        .program("./usr/bin/x86_64-linux-gnu-g++-12", &program())
        .symlink("./usr/bin/gcc-12", "x86_64-linux-gnu-gcc-12")
        .symlink("./usr/bin/g++-12", "x86_64-linux-gnu-g++-12")
        .program("./usr/bin/x86_64-linux-gnu-ld.bfd", &program())
        .program("./usr/bin/x86_64-linux-gnu-as", &program())
        .program("./usr/lib/gcc/x86_64-linux-gnu/12/cc1", &program())
        .program("./usr/lib/gcc/x86_64-linux-gnu/12/collect2", &program())
        .file("./usr/lib/gcc/x86_64-linux-gnu/12/crtbegin.o", b"\x7fELF")
        .file("./usr/lib/x86_64-linux-gnu/libc.so", b"/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 /usr/lib/x86_64-linux-gnu/libc_nonshared.a  AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )\n")
        .file("./usr/include/stdio.h", b"#include <features.h>\n")
        .file("./lib64/ld-linux-x86-64.so.2", &library())
        .file("./lib/x86_64-linux-gnu/libc.so.6", &library());
    let postinst = "#!/bin/sh\nset -e\nfor t in awk nawk; do\n  update-alternatives --install /usr/bin/$t $t /usr/bin/script 10 --slave /usr/share/x/$t.1 $t.1 /usr/share/x/run.sh\ndone\nif [ x ]; then update-alternatives --quiet --install \"/usr/bin/y\" y /usr/bin/prog 5; fi\n";
    [general, generated, tex, python, compiler]
        .into_iter()
        .map(|data| deb_of(&control(postinst), &data.finish()))
        .collect()
}

const RELEASE: &str = "Origin: Test\nSuite: test\nCodename: test\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main\nSHA256:\n 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b 1 main/binary-amd64/Packages\n 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b 9 ./main/binary-amd64/Packages.xz\n";

pub fn releases() -> Vec<Vec<u8>> {
    vec![RELEASE.as_bytes().to_vec()]
}

pub fn inreleases() -> Vec<Vec<u8>> {
    let whole = signed(RELEASE);
    let armour = whole.find("-----BEGIN PGP SIGNATURE").map(|at| whole.as_bytes()[at..].to_vec());
    [whole.clone().into_bytes()].into_iter().chain(armour).collect()
}

pub fn keyrings() -> Vec<Vec<u8>> {
    let shipped = include_bytes!("../../data/debian-archive-keyring.gpg");
    vec![public_key(), shipped[..9000].to_vec()]
}

pub fn package_indexes() -> Vec<Vec<u8>> {
    let stanza = |name: &str, version: &str, fields: &str| {
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}Filename: pool/{name}.deb\nSize: 100\nSHA256: 01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\nDescription: x\n more\n\n"
        )
    };
    let small = stanza(
        "a",
        "1.0-1",
        "Depends: b (>= 1), c | d, e:any\nPre-Depends: f\nPriority: optional\n",
    ) + &stanza(
        "b",
        "2:1.5~rc1-1+b2",
        "Provides: c (= 3), v\nConflicts: d\nSource: bb (1.5)\n",
    ) + &stanza("d", "1", "Breaks: a (<< 1)\nDepends: a,\n v\n")
        + &stanza("e", "1", "Architecture: all\nDepends: v | w\n")
        + &stanza("f", "1", "")
        + &stanza("g", "1", "Provides: v\nPriority: required\n");
    let versions = stanza("a", "1", "Depends: b (= 2) | b (= 1), c\n")
        + &stanza("b", "1", "")
        + &stanza("b", "2", "Conflicts: c\n")
        + &stanza("c", "1", "Depends: b (<< 2)\n");
    vec![small.into_bytes(), versions.into_bytes()]
}

/// The beginning of a lock, up to the entry with this number.
fn beginning(lock: &str, entries: usize) -> Vec<u8> {
    let parts: Vec<&str> = lock.split("[[tree]]").take(entries + 1).collect();
    let short: Vec<String> = parts
        .iter()
        .map(|part| {
            let mut inputs = 0;
            let keeps = |line: &&str| {
                inputs += usize::from(line.starts_with("  { url"));
                !line.starts_with("  { url") || inputs <= 2
            };
            part.lines().filter(keeps).map(|line| format!("{line}\n")).collect()
        })
        .collect();
    short.join("[[tree]]").into_bytes()
}

pub fn locks() -> Vec<Vec<u8>> {
    vec![
        beginning(include_str!("../../toolchains.lock"), 3),
        beginning(include_str!("../../examples/libraries/toolchains.lock"), 2),
        beginning(include_str!("../../examples/flask/toolchains.lock"), 4),
        beginning(include_str!("../../examples/zig/toolchains.lock"), 2),
        beginning(include_str!("../locks/flask.v1.lock"), 2),
        beginning(include_str!("../locks/zig.v1.lock"), 2),
    ]
}

pub fn manifests() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../toolchains.toml").to_vec(),
        include_bytes!("../../examples/libraries/toolchains.toml").to_vec(),
        include_bytes!("../../examples/flask/toolchains.toml").to_vec(),
        include_bytes!("../../examples/zig/toolchains.toml").to_vec(),
        b"platforms = [\"x86_64-linux\"]\n[toolchains.t]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1.0\"\nurl = \"https://a.example/t-%v.tar.gz\"\nsha256 = \"01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\"\nbin = { a = \"b\" }\n[audit]\nallow = [{ rule = \"host-path\", place = \"*\", reason = \"x\" }]\n[mirrors]\ndebian = [\"file:///x\"]\n".to_vec(),
    ]
}

pub fn requirements() -> Vec<Vec<u8>> {
    vec![b"-r other.txt\nflask==3.0.0 \\\n    --hash=sha256:01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\n    # via -r a.in\nclick[x]==8 ; python_version < '4'\n    # via\n    #   flask\n    #   Werk_Zeug\nx @ git+https://a.example/x#egg=x\n".to_vec()]
}

pub fn pylocks() -> Vec<Vec<u8>> {
    vec![b"lock-version = \"1.0\"\ncreated-by = \"uv\"\n[[packages]]\nname = \"a\"\nversion = \"1\"\nmarker = \"x\"\nsdist = { url = \"https://a.example/a-1.tar.gz\", size = 9, hashes = { sha256 = \"01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\" } }\nwheels = [{ name = \"a-1-py3-none-any.whl\", path = \"a%2B1.whl\", hashes = {} }]\n".to_vec()]
}

pub fn netrcs() -> Vec<Vec<u8>> {
    vec![b"# note\nmachine a.example login u password \"p \\\" q\"\nmacdef init\ncd /x\nmachine none.example\n\ndefault login anonymous password x\n".to_vec()]
}

pub fn configurations() -> Vec<Vec<u8>> {
    vec![
        b"[global]\nindex-url = https://a.example/simple\nextra-index-url =\n    https://b.example/simple\n    https://c.example/simple\n".to_vec(),
        b"index-url = \"https://a.example/simple\"\n[[index]]\nname = \"x\"\nurl = \"https://b.example/simple\"\n[pip]\nindex-url = \"https://c.example\"\n".to_vec(),
        b"name=https://a.example https://b.example".to_vec(),
    ]
}

pub fn pages() -> Vec<Vec<u8>> {
    vec![
        b"{\"meta\":{\"api-version\":\"1.0\"},\"name\":\"x\",\"files\":[{\"filename\":\"x-1.tar.gz\",\"url\":\"../x-1.tar.gz\",\"hashes\":{\"sha256\":\"01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\"},\"size\":9,\"yanked\":\"why\"}]}".to_vec(),
        b"<html><body><a href=\"../x-1%2Ba.tar.gz?a=b&amp;c#sha256=01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b\" data-yanked=\"x\">x</a>\n<a  href=\"https://a.example/y.whl\">y</a></body></html>".to_vec(),
    ]
}

pub fn aqueries() -> Vec<Vec<u8>> {
    vec![
        b"{\"artifacts\":[{\"id\":1,\"pathFragmentId\":2},{\"id\":\"3\",\"execPath\":\"bazel-out/b\"}],\"actions\":[{\"targetId\":1,\"mnemonic\":\"CppCompile\",\"arguments\":[\"/usr/bin/gcc\",\"-I/usr/include\",\"-B/usr/bin\",\"-fuse-ld=lld\",\"-isystem\",\"/usr/x\"],\"environmentVariables\":[{\"key\":\"PATH\",\"value\":\"/usr/bin\"}],\"outputIds\":[1],\"paramFiles\":[{\"arguments\":[\"a\"]}]},{\"mnemonic\":\"Genrule\",\"arguments\":[\"/bin/bash\",\"-c\",\"python3 x | ar rcs $(which y)\"]}],\"targets\":[{\"id\":1,\"label\":\"@@//a:b\"}],\"pathFragments\":[{\"id\":2,\"label\":\"a\",\"parentId\":4},{\"id\":4,\"label\":\"b\"}]}".to_vec(),
        b"Reading rc options for 'build' from /workspace/.bazelrc:\n  Inherited: --action_env=PATH --host_action_env HOME\n".to_vec(),
    ]
}

pub fn shells() -> Vec<Vec<u8>> {
    vec![
        b"set -e\nPATH=/usr/bin:$PATH; export PATH\nfor f in $(ls *.c); do gcc -c \"$f\" 2>/dev/null || exit 1; done\ncat > x <<'EOF'\nhello $x\nEOF\nif command -v python3 >/dev/null; then python3 - <<E\nE\nfi\nrun() { /usr/bin/ar rcs a.a; }\nrun && case $x in a|b) echo `date`;; *) ;; esac\n".to_vec(),
        b"def _impl(repository_ctx):\n    x = repository_ctx.which(\"gcc\") # no\n    y = repository_ctx.os.environ.get(\"PATH\")\n    repository_ctx.execute([\"a\"])\nr = repository_rule(_impl)\n\"/usr/bin/x\"\n".to_vec(),
    ]
}

pub fn traces() -> Vec<Vec<u8>> {
    vec![b"1 execve(\"/store/gcc/bin/gcc\", [\"gcc\", \"a \\\"b\"], 0x7ffe /* 9 vars */) = 0\n1 openat(AT_FDCWD</w>, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>\n1 clone(child_stack=NULL, flags=CLONE_VM) = 2\n2 execve(\"/usr/bin/as\", [\"as\"], 0x1 /* 1 var */ <unfinished ...>\n1 fchdir(3</w/x>) = 0\n2 <... execve resumed>) = 0\n2 newfstatat(AT_FDCWD</w>, \"x/../y\", {st_mode=S_IFREG}, 0) = -1 ENOENT (No such file or directory)\n2 readlink(\"/proc/self/exe\", \"/x\", 9) = 2\n2 +++ exited with 0 +++\n1 execve(\"/out/install/process-wrapper\", [\"p\"], 0x1) = 0\n".to_vec()]
}

/// Written by Nix 2.8.
const NARINFO: &str = "StorePath: /nix/store/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d\nURL: nar/0kxc0qm0yaqwmf8khibjnbj3945lnf20ws56yjvcvp632800xvva.nar.zst\nCompression: zstd\nFileHash: sha256:0kxc0qm0yaqwmf8khibjnbj3945lnf20ws56yjvcvp632800xvva\nFileSize: 228\nNarHash: sha256:19x7gnymyfbf4xvw9bw01rya22sd15i3s0wc48h50w7nw6wsasd7\nNarSize: 880\nReferences: \nSig: test-1:Xc4xwRhmQdCBgD8+CjdEOBYmyW+vnV/YknYrQc3yj4qtWZDtSJ2/Wq8Ro/FudEP9mI7lzo9N8T2k+lmchOV3Cw==\nCA: fixed:r:sha256:19x7gnymyfbf4xvw9bw01rya22sd15i3s0wc48h50w7nw6wsasd7\n";

const CACHE_KEY: &str = "test-1:3D5dId+ffUWy7Wt2UlM6xOPSD+OE4r1TZml5gzP+uCE=";

pub fn narinfos() -> Vec<Vec<u8>> {
    let more = "References: kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-d lk24g145slqydml3sah9dwk10d35c7pa-ref\nDeriver: lk24g145slqydml3sah9dwk10d35c7pa-ref.drv";
    vec![
        NARINFO.as_bytes().to_vec(),
        NARINFO.replace("References: ", more).replace("Compression: zstd\n", "").into_bytes(),
    ]
}

pub fn cache_keys() -> Vec<cotter::internals::readers::CacheKey> {
    vec![CACHE_KEY.parse().unwrap()]
}

pub fn cache_key_texts() -> Vec<Vec<u8>> {
    let secret = "test-1:RVQKcY8IDXSZScvJgVMG0qy7hZ1cKO/DcdwbDabTcLHcPl0h3599RbLta3ZSUzrE49IP44TivVNmaXmDM/64IQ==";
    vec![CACHE_KEY.as_bytes().to_vec(), secret.as_bytes().to_vec()]
}

/// Printed by Nix 2.8.
pub fn registrations() -> Vec<Vec<u8>> {
    let text = "/nix/store/iz6b6adyqvb64049bj6jxsqym0hv81c5-data-1\n289bc993f91d4bdb903dc92340f5a6c96b4ba3819c628cac0df69ef3809582c1\n416\n/nix/store/xi9m2yy6xdiil60shdrij7zm270xdkb8-data-1.drv\n0\n/nix/store/xi9m2yy6xdiil60shdrij7zm270xdkb8-top-1\n25b202af200742b1ded039c468339fef928cc0cbae93786bff14d23ffbb1b1d0\n632\n\n1\n/nix/store/iz6b6adyqvb64049bj6jxsqym0hv81c5-data-1\n";
    vec![text.as_bytes().to_vec()]
}

pub fn cache_infos() -> Vec<Vec<u8>> {
    vec![b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n".to_vec()]
}

pub fn requests_of_caches() -> Vec<Vec<u8>> {
    vec![
        b"GET /kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r.narinfo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /nar/kzm3wc4b8kzvbxhqv4xhbc8hhaqqj27r-x.nar.zst HTTP/1.1\r\nHost: x\r\nRange: bytes=5-90\r\n\r\n".to_vec(),
        b"HEAD /nix-cache-info HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ]
}

pub fn facts() -> Vec<Vec<u8>> {
    vec![
        b"{\"recipe\":\"tool\",\"facts\":{\"programs\":[\"bin/a\"]}}".to_vec(),
        b"{\"recipe\":\"gcc\",\"facts\":{}}".to_vec(),
    ]
}
