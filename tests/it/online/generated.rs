//! What maintainer scripts would generate, on real packages: programs find their certificates,
//! plugins, extensions and fonts where nothing of a host exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cotter::internals::Digest;

use crate::support::archive::Tar;
use crate::support::jail::{jail, jail_as_nobody};
use crate::support::server::{Server, trusted_tls, untrusted_tls};
use crate::support::{Project, Scratch, contains, fails, ok, text};

/// A project with one tool out of packages of a suite. Returns the tree, too, and what locking told.
fn tool(suite: &str, packages: &[&str]) -> (Project, PathBuf, String) {
    let project = Project::new(&format!(
        "[toolchains.tool]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"{suite}\"\npackages = {packages:?}\n"
    ));
    let output = project.cotter(&["setup"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let tree = project.tree();
    (project, tree, text(&output))
}

/// A command of a tree in the jail. `work` may be written by anybody.
fn in_jail(project: &Project, work: &Scratch, program: &Path) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(work.path(), everybody).unwrap();
    let mut command = jail_as_nobody(&project.store, work.path());
    command.arg(program);
    command
}

/// A tree out of packages and an archive, which brings a certificate of the test as a package of
/// certificates would.
fn trusting(certificate: &str, packages: &[&str]) -> (Project, PathBuf) {
    let server = Server::start();
    let bytes =
        Tar::new().file("usr/share/ca-certificates/test/test.crt", certificate.as_bytes()).finish();
    let project = Project::new(&format!(
        "[toolchains.tool]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{}\"\nsha256 = \"{}\"\nsuite = \"bookworm\"\npackages = {packages:?}\n",
        server.put("/test.tar", bytes.clone()),
        Digest::of(&bytes)
    ));
    project.ok(&["setup"]);
    let tree = project.tree();
    (project, tree)
}

#[test]
fn openssl_gnutls_and_curl_trust_the_certificates_of_the_tree() {
    let (port, certificate) = trusted_tls("localhost", b"pinned trust\n".to_vec());
    let packages = ["curl", "openssl", "gnutls-bin", "ca-certificates"];
    let (project, tree) = trusting(&certificate, &packages);
    let command = |name: &str| {
        let mut command = Command::new(tree.join("usr/bin").join(name));
        command.env_clear().env("HOME", project.scratch.path());
        command.stdin(std::process::Stdio::null());
        command
    };
    let url = format!("https://localhost:{port}/");
    let got = ok(command("curl").args(["-sS", "--max-time", "30", &url]));
    assert_eq!(got, "pinned trust\n");
    let peer = format!("localhost:{port}");
    let verified =
        ok(command("openssl").args(["s_client", "-verify_return_error", "-connect", &peer]));
    contains(&verified, &["Verify return code: 0 (ok)"]);
    let verified = ok(command("gnutls-cli").args(["--port", &port.to_string(), "localhost"]));
    contains(&verified, &["The certificate is trusted"]);
    // Others are refused, because nobody vouches for them, not because the bundle is missing.
    let refused = fails(60, command("curl").args(["-sS", "--max-time", "30", &untrusted_tls()]));
    contains(&refused, &["SSL certificate problem"]);
    // Debian's own certificates are there too, each also under its own name.
    let certificates = crate::support::names(&tree.join("etc/ssl/certs"));
    assert!(certificates.len() > 100, "{certificates:?}");
    let verify =
        ok(command("openssl").arg("verify").arg(tree.join("etc/ssl/certs/ISRG_Root_X1.pem")));
    contains(&verify, &["OK"]);
}

#[test]
#[ignore = "full suite: takes minutes"]
fn java_trusts_the_certificates_of_the_tree() {
    let (port, certificate) = trusted_tls("localhost", b"pinned trust\n".to_vec());
    let packages = ["openjdk-17-jdk-headless", "ca-certificates-java"];
    let (project, tree) = trusting(&certificate, &packages);
    let bin = tree.join("usr/lib/jvm/java-17-openjdk-amd64/bin");
    let source = project.scratch.write(
        "Tls.java",
        "import java.net.*;\npublic class Tls {\n  public static void main(String[] a) throws Exception {\n    System.out.print(new String(new URL(a[0]).openStream().readAllBytes()));\n  }\n}\n",
    );
    let java = |url: &str| {
        let mut command = Command::new(bin.join("java"));
        command.env_clear().env("HOME", project.scratch.path()).arg(&source).arg(url);
        command
    };
    assert_eq!(ok(&mut java(&format!("https://localhost:{port}/"))), "pinned trust\n");
    contains(&fails(1, &mut java(&untrusted_tls())), &["SSLHandshakeException"]);
    // The password is checked against the digest of the whole file.
    let work = Scratch::new();
    let list = ok(in_jail(&project, &work, &bin.join("keytool")).args([
        "-list",
        "-cacerts",
        "-storepass",
        "changeit",
    ]));
    let single = std::fs::read_dir(tree.join("usr/share/ca-certificates/mozilla")).unwrap().count();
    contains(&list, &["debian:test.pem", &format!("contains {} entries", single + 1)]);
}

#[test]
fn graphviz_knows_its_plugins_and_fontconfig_its_fonts() {
    for suite in ["bookworm", "trixie"] {
        let (project, tree, _) = tool(suite, &["graphviz", "fonts-dejavu-core", "fontconfig"]);
        let work = Scratch::new();
        work.write("a.dot", "digraph { a -> b }");
        let dot = |format: &str| {
            ok(in_jail(&project, &work, &tree.join("usr/bin/dot"))
                .args([format, "a.dot", "-o", "out"]));
            std::fs::read(work.join("out")).unwrap()
        };
        assert!(String::from_utf8(dot("-Tsvg")).unwrap().contains("</svg>"));
        assert!(dot("-Tpng").starts_with(b"\x89PNG"));
        assert!(dot("-Tpdf").starts_with(b"%PDF"));
        let fonts = ok(&mut in_jail(&project, &work, &tree.join("usr/bin/fc-list")));
        contains(&fonts, &["DejaVu Sans"]);
    }
}

#[test]
fn php_loads_the_extensions_that_are_installed() {
    for (suite, version) in [("bookworm", "8.2"), ("trixie", "8.4")] {
        let of = |part: &str| format!("php{version}-{part}");
        let packages = [of("cli"), of("mbstring"), of("xml"), of("sqlite3")];
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        let (project, tree, _) = tool(suite, &packages);
        let work = Scratch::new();
        let php = tree.join(format!("usr/bin/php{version}"));
        let modules = ok(in_jail(&project, &work, &php).arg("-m"));
        contains(&modules, &["mbstring", "dom", "PDO", "pdo_sqlite", "sqlite3", "Zend OPcache"]);
        let code = "$d = new PDO('sqlite::memory:'); echo $d->query('select 6*7')->fetchColumn(), mb_strtoupper('é');";
        assert_eq!(ok(in_jail(&project, &work, &php).args(["-r", code])), "42É");
    }
}

#[test]
fn gdk_pixbuf_and_glib_recognise_files() {
    for suite in ["bookworm", "trixie"] {
        let packages =
            ["libgdk-pixbuf2.0-bin", "librsvg2-common", "shared-mime-info", "libglib2.0-bin"];
        let (project, tree, _) = tool(suite, &packages);
        let work = Scratch::new();
        work.write("image", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"20\" height=\"20\"><rect width=\"10\" height=\"10\"/></svg>");
        let program = |name: &str| tree.join("usr/bin").join(name);
        ok(in_jail(&project, &work, &program("gdk-pixbuf-thumbnailer"))
            .args(["-s", "16", "image", "out.png"]));
        assert!(std::fs::read(work.join("out.png")).unwrap().starts_with(b"\x89PNG"));
        // By content, by ending, by name, by pattern, and by a number in the order of the host.
        for (name, content, expected) in [
            ("image", None, "image/svg+xml"),
            ("out.png", None, "image/png"),
            ("a.tar.gz", Some(&b"x"[..]), "application/x-compressed-tar"),
            ("Makefile", Some(b"x"), "text/x-makefile"),
            ("README.now", Some(b"x"), "text/x-readme"),
            ("a.C", Some(b"x"), "text/x-c++src"),
            ("a.c", Some(b"x"), "text/x-csrc"),
            ("packets", Some(b"\xd4\xc3\xb2\xa1\0\0\0\0"), "application/vnd.tcpdump.pcap"),
        ] {
            if let Some(content) = content {
                work.write(name, content);
            }
            let info = ok(in_jail(&project, &work, &program("gio")).args([
                "info",
                "-a",
                "standard::content-type",
                name,
            ]));
            contains(&info, &[&format!("standard::content-type: {expected}\n")]);
        }
    }
}

/// What a database of GLib has, in the form of lines: the names with the names of their tables before them, and the bytes of each value. The order in the file does not count.
fn database(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    fn number(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }
    fn table(bytes: &[u8], at: usize, before: &str, out: &mut BTreeMap<String, Vec<u8>>) {
        let (start, end) = (number(bytes, at), number(bytes, at + 4));
        let buckets = number(bytes, start + 4);
        let items: Vec<usize> = (start + 8 + 4 * buckets..end).step_by(24).collect();
        let name = |item: usize| {
            let (from, length) = (number(bytes, item + 8), number(bytes, item + 12) & 0xffff);
            String::from_utf8(bytes[from..from + length].to_vec()).unwrap()
        };
        for (index, item) in items.iter().enumerate() {
            let here = name(*item);
            let hash = here
                .bytes()
                .fold(5381u32, |hash, b| hash.wrapping_mul(33).wrapping_add(u32::from(b)));
            assert_eq!(hash, u32::try_from(number(bytes, *item)).unwrap(), "{here}");
            // A reader finds the item from the start of its bucket.
            let bucket = hash as usize % buckets;
            let first = |bucket: usize| number(bytes, start + 8 + 4 * bucket);
            let next = if bucket + 1 < buckets { first(bucket + 1) } else { items.len() };
            assert!((first(bucket)..next).contains(&index), "{here}");
            let parent = match number(bytes, item + 4) {
                0xffff_ffff => String::new(),
                parent => format!("listed by {:?} ", name(items[parent])),
            };
            let (from, to) = (number(bytes, item + 16), number(bytes, item + 20));
            let path = format!("{before}{parent}{here}");
            match bytes[item + 14] {
                b'v' => assert_eq!(out.insert(path, bytes[from..to].to_vec()), None),
                b'L' => {
                    let listed = (from..to).step_by(4).map(|at| name(items[number(bytes, at)]));
                    let mut listed: Vec<String> = listed.collect();
                    listed.sort();
                    out.insert(format!("{path} lists"), listed.join(" ").into_bytes());
                }
                b'H' => table(bytes, item + 16, &format!("{path}/"), out),
                // An empty list.
                0 => assert_eq!((from, to), (0, 0), "{path}"),
                other => panic!("an item of the type {other}"),
            }
        }
    }
    assert!(bytes.starts_with(b"GVariant"));
    let mut out = BTreeMap::new();
    table(bytes, 16, "", &mut out);
    out
}

/// The tool and cotter make the same database: of the schemas of two suites, and of one that has everything that `gschema.dtd` knows.
#[test]
fn the_settings_of_glib_are_those_that_its_tool_compiles() {
    let server = Server::start();
    let bytes = Tar::new()
        .file("usr/share/glib-2.0/schemas/all.enums.xml", ENUMS.as_bytes())
        .file("usr/share/glib-2.0/schemas/all.gschema.xml", SCHEMAS.as_bytes())
        .file("usr/share/glib-2.0/schemas/bad.gschema.xml", b"<schemalist><schema id='bad'><key name='k' type='i'><default>'a'</default></key></schema></schemalist>")
        .file("usr/share/glib-2.0/schemas/10_all.gschema.override", OVERRIDES.as_bytes())
        .finish();
    let archive = server.put("/schemas.tar", bytes.clone());
    let digest = Digest::of(&bytes);
    for suite in ["bookworm", "trixie"] {
        let project = Project::new(&format!(
            "[settings]\ncheck_valid_until = false\n[toolchains.tool]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{archive}\"\nsha256 = \"{digest}\"\nsuite = \"{suite}\"\npackages = [\"libglib2.0-bin\", \"gsettings-desktop-schemas\", \"epiphany-browser-data\"]\n"
        ));
        let output = project.cotter(&["setup"]).output().unwrap();
        let told = text(&output);
        assert!(output.status.success(), "{told}");
        contains(
            &told,
            &[
                "the settings of usr/share/glib-2.0/schemas/bad.gschema.xml are left out: in the schema bad, the key k: \"'a'\" is not of the type i",
            ],
        );
        let tree = project.tree();
        let schemas = tree.join("usr/share/glib-2.0/schemas");
        let work = Scratch::new();
        let program = tree.join("usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas");
        ok(in_jail(&project, &work, &program).args(["--targetdir", "."]).arg(&schemas));
        let of_tool = database(&std::fs::read(work.join("gschemas.compiled")).unwrap());
        let ours = database(&std::fs::read(schemas.join("gschemas.compiled")).unwrap());
        assert!(of_tool.len() > 300, "{}", of_tool.len());
        for name in of_tool.keys().chain(ours.keys()) {
            let shown = |bytes: Option<&Vec<u8>>| bytes.map(|b| b.escape_ascii().to_string());
            let (theirs, ours) = (shown(of_tool.get(name)), shown(ours.get(name)));
            assert!(theirs == ours, "{suite}: {name}\n{theirs:?}\n{ours:?}");
        }
        let get = |schema: &str, key: &str| {
            ok(in_jail(&project, &work, &tree.join("usr/bin/gsettings"))
                .env("GSETTINGS_BACKEND", "memory")
                .args(["get", schema, key]))
        };
        assert_eq!(get("all.base", "colour"), "'blue'\n");
        assert_eq!(get("all.derived", "number"), "9\n");
    }
}

const ENUMS: &str = "<schemalist><enum id='all.colour'><value nick='red' value='0'/><value nick='blue' value='-1'/><value nick='yellowgreen' value='0x10'/></enum>
<flags id='all.sides'><value nick='left' value='1'/><value nick='right' value='2'/><value nick='top' value='2147483648'/></flags></schemalist>";

const SCHEMAS: &str = r#"<?xml version="1.0"?>
<schemalist gettext-domain="all">
  <schema id="all.base" path="/all/base/">
    <key name="colour" enum="all.colour"><aliases><alias value="rouge" target="red"/><alias value="bleu" target="blue"/></aliases><default>'red'</default><summary>Text</summary></key>
    <key name="sides" flags="all.sides"><default>['left', 'top']</default></key>
    <key name="choice" type="s"><choices><choice value="one"/><choice value="twenty-two"/><choice value=""/></choices><aliases><alias value="uno" target="twenty-two"/></aliases><default>"one"</default></key>
    <key name="number" type="i"><range min="-5" max="0x40"/><default>3</default></key>
    <key name="half" type="d"><range max="1"/><default>.5</default></key>
    <key name="byte" type="y"><range min="1"/><default>0x7f</default></key>
    <key name="texts" type="as"><default>['a', "it's", 'ä
€']</default></key>
    <key name="map" type="a{sv}"><default>{'a': &lt;1&gt;, 'b': &lt;[true, false]&gt;, 'c': &lt;@as []&gt;, 'd': &lt;('x', 2.5, uint64 7)&gt;, 'e': &lt;{'k': &lt;'v'&gt;}&gt;}</default></key>
    <key name="pairs" type="a{s(iay)}"><default>{'k': (1, [0x41, 0x42]), 'l': (-2, b'x')}</default></key>
    <key name="maybe" type="(mimsmmib)"><default>(just 1, nothing, just nothing, true)</default></key>
    <key name="numbers" type="(ynqiuxtd)"><default>(1, -2, 3, -4, 5, -6, 7, 8)</default></key>
    <key name="empty" type="()"><default>()</default></key>
    <key name="long" type="aas"><default>[['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'], [], ['b']]</default></key>
    <key name="greeting" type="s"><default l10n="messages" context="Menu">
      'Hello'
    </default></key>
    <key name="day" type="(si)"><default l10n="time"> ('Monday', 1)</default></key>
    <child name="deeper" schema="all.plain"/>
  </schema>
  <schema id="all.plain"><key name="on" type="b"><default>true</default></key></schema>
  <schema id="all.root" gettext-domain="root"><key name="number" type="i"><range max="0x40"/><default>3</default></key><key name="greeting" type="s"><default l10n="messages">'Hello'</default></key></schema>
  <schema id="all.derived" path="/all/derived/" extends="all.root">
    <key name="more" type="x"><range min="0"/><default>1</default></key>
    <override name="number">7</override>
    <override name="greeting" l10n="messages">'Bye'</override>
  </schema>
  <schema id="all.list" list-of="all.plain"/>
  <schema id="all.middle" extends="all.root"><override name="number">5</override></schema>
  <schema id="all.further" extends="all.middle"><override name="greeting">'Ahoy'</override></schema>
</schemalist>"#;

const OVERRIDES: &str = "[all.base]\ncolour = 'blue'\n# a comment\nnothing='x'\nnumber='not a number'\nchoice='no choice'\n\n[all.base:Desk]\ntexts=['desk']\n[all.derived]\nnumber=9\n[all.base:Desk]\ngreeting='no'\n";

/// TeX makes a format at its first use, for an ordinary user and for root, and then a document.
#[test]
#[ignore = "full suite: takes minutes"]
fn pdflatex_makes_a_document() {
    let (project, tree, told) = tool("bookworm", &["texlive-latex-base", "dash"]);
    contains(&told, &["formats of TeX", "fmtutil-user --byfmt pdflatex"]);
    for as_nobody in [true, false] {
        let work = Scratch::new();
        work.write(
            "a.tex",
            "\\documentclass{article}\\begin{document}Hello $\\alpha = 1$\\end{document}\n",
        );
        let program = tree.join("usr/bin/pdflatex");
        let command = if as_nobody {
            in_jail(&project, &work, &program)
        } else {
            let mut command = jail(&project.store, work.path());
            command.arg(&program);
            command
        };
        let bin = tree.join("bin");
        let at = command.get_args().position(|a| a == "/nonexistent");
        assert!(at.is_some(), "the jail sets PATH");
        let arguments: Vec<_> = command
            .get_args()
            .map(|a| if a == "/nonexistent" { bin.clone().into_os_string() } else { a.to_owned() })
            .collect();
        let mut command = Command::new(command.get_program());
        command.env_clear().env("PATH", "/usr/bin:/bin").args(arguments);
        ok(command.args(["-interaction=batchmode", "a.tex"]));
        assert!(std::fs::read(work.join("a.pdf")).unwrap().starts_with(b"%PDF"));
        // The font is an outline of the tree, not a bitmap. TeX breaks the lines of its log.
        let log = std::fs::read_to_string(work.join("a.log")).unwrap().replace('\n', "");
        contains(&log, &["cmr10.pfb"]);
        let caches = crate::support::names(&work.join(".cache/cotter/tex"));
        assert_eq!(caches.len(), 1, "{caches:?}");
    }
}
