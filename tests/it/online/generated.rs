//! What maintainer scripts would generate, on real packages: programs find their certificates,
//! plugins, extensions and fonts where nothing of a host exists.

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
