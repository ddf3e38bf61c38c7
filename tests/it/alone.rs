//! The program is one static file: it runs where there is nothing else, and finds hosts there.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use cotter::internals::Elf;

use crate::support::archive::Tar;
use crate::support::server::{Server, trusted_tls};
use crate::support::{Project, Scratch, contains, names, ok};

const COTTER: &str = env!("CARGO_BIN_EXE_cotter");

/// Returns the program in a root that contains only the program itself, `etc` and `work`.
fn alone(etc: &Path, work: &Path, args: &[&str]) -> Command {
    alone_with(etc, work, &[], args)
}

/// Returns the same with environment variables.
fn alone_with(etc: &Path, work: &Path, variables: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-all", "--share-net", "--clearenv", "--ro-bind", COTTER, "/cotter"])
        .arg("--ro-bind")
        .arg(etc)
        .args(["/etc", "--bind"])
        .arg(work)
        .args(["/box", "--chdir", "/box/project", "--setenv", "COTTER_STORE", "/box/store"])
        .args(["--setenv", "COTTER_TRUST", "1", "--setenv", "COTTER_HTTP_RETRIES", "0"]);
    for (name, value) in variables {
        command.args(["--setenv", name, value]);
    }
    command.args(["--", "/cotter"]).args(args);
    command
}

#[test]
fn the_program_needs_no_loader_and_no_library() {
    let bytes = std::fs::read(COTTER).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    assert!(!elf.has_interpreter(), "it asks for {:?}", elf.interpreter(&bytes));
    let needed: Vec<_> =
        elf.dynamic(&bytes).unwrap_or_default().into_iter().filter(|e| e.1 == 1).collect();
    assert!(needed.is_empty(), "it needs shared libraries: {needed:?}");
    let scratch = Scratch::new();
    for dir in ["etc", "project"] {
        std::fs::create_dir(scratch.join(dir)).unwrap();
    }
    let said = ok(&mut alone(&scratch.join("etc"), scratch.path(), &["--version"]));
    assert_eq!(said, format!("cotter {}\n", env!("CARGO_PKG_VERSION")));
}

/// Answers every question for an address with 127.0.0.1. The format is from RFC 1035, section 4.
fn name_server(address: &str) {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut packet) {
            let name = packet[12..n].iter().position(|b| *b == 0).unwrap();
            let question = &packet[12..12 + name + 5];
            // A question of type A gets one answer, and one of type AAAA gets none.
            let is_a = question[name + 2] == 1;
            let mut answer = packet[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            answer.extend(question);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
}

/// Only root may answer on port 53. Other users become root in a namespace of their own. The result is `false` if the test was run in such a namespace.
fn as_root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let mut command = Command::new("bwrap");
    command
        .args(["--unshare-user", "--unshare-net", "--uid", "0", "--gid", "0", "--cap-add", "ALL"])
        .args(["--dev-bind", "/", "/", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test]);
    contains(&ok(&mut command), &["1 passed"]);
    false
}

#[test]
fn hosts_are_found_by_file_and_by_dns() {
    if !as_root("alone::hosts_are_found_by_file_and_by_dns") {
        return;
    }
    let server = Server::start();
    let tar = Tar::new().program("bin/one", b"x").finish();
    server.put("/one.tar", tar.clone());
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let (tls_port, certificate) = trusted_tls("secure.test", tar);
    let nameserver = "127.83.7.53";
    name_server(nameserver);
    let hosts = "127.0.0.1 mirror.test secure.test\n";
    let resolv = format!("nameserver {nameserver}\n");
    // A desktop has name services that are shared libraries and that end the search.
    let switch = "hosts: mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] mymachines\n";
    for (etc, found) in [
        (vec![("hosts", hosts)], true),
        (vec![("resolv.conf", resolv.as_str())], true),
        (vec![("resolv.conf", resolv.as_str()), ("nsswitch.conf", switch)], true),
        (vec![("hosts", hosts), ("nsswitch.conf", switch)], true),
        (
            vec![("hosts", "127.0.0.1 other.test\n"), ("resolv.conf", "nameserver 127.83.7.54\n")],
            false,
        ),
    ] {
        let urls = [
            format!("http://mirror.test:{port}/one.tar"),
            format!("https://secure.test:{tls_port}/one.tar"),
        ];
        for url in urls {
            let project = Project::new(&format!(
                "platforms = [\"x86_64-linux\"]\n[toolchains.one]\nkind = \"tool\"\nsource = \"archive\"\nversion = \"1\"\nurl = \"{url}\"\n"
            ));
            let scratch = &project.scratch;
            scratch.write("certificate.pem", &certificate);
            for (name, text) in &etc {
                scratch.write(&format!("etc/{name}"), text);
            }
            // Plain HTTP needs no certificates, and there are none.
            let trust = [("SSL_CERT_FILE", "/box/certificate.pem")];
            let trust = if url.starts_with("https:") { &trust[..] } else { &[] };
            let etc_dir = scratch.join("etc");
            if url.starts_with("https:") && found {
                let mut nobody = alone(&etc_dir, scratch.path(), &["setup"]);
                contains(&crate::support::fails(5, &mut nobody), &["can't reach", "certificate"]);
            }
            let mut setup = alone_with(&etc_dir, scratch.path(), trust, &["setup"]);
            if found {
                ok(&mut setup);
                assert_eq!(names(&project.store.join("store")).len(), 1, "{url} {etc:?}");
            } else {
                contains(&crate::support::fails(5, &mut setup), &["can't reach"]);
            }
        }
    }
}
